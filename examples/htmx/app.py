"""A Flask app whose page uploads by htmx, with progress. The page stays.

Get htmx, start the app, and open http://localhost:8000/:

    npm --prefix examples/htmx install
    gunicorn --chdir examples/htmx --bind localhost:8000 --workers 4 --threads 4 app:app
"""

from flask import Flask, request
from markupsafe import escape

from mod_progress.wsgi import ProgressMiddleware

PAGE = """<!doctype html>
<title>Upload</title>
<script src="/htmx/htmx.min.js"></script>
<script type="module" src="/progress-htmx.js"></script>
<form data-progress hx-post="/upload" hx-encoding="multipart/form-data" hx-target="#result">
  <input type="file" name="file" required>
  <button>Upload</button>
</form>
<p id="result"></p>
"""

app = Flask(__name__, static_folder="node_modules/htmx.org/dist", static_url_path="/htmx")
app.wsgi_app = ProgressMiddleware(app.wsgi_app, script="/progress.js")


@app.get("/")
def page():
    """Answer with the form."""
    return PAGE


@app.post("/upload")
def upload():
    """Answer with what takes the place of the result."""
    file = request.files["file"]
    return f"{escape(file.filename)} has {file.seek(0, 2)} bytes."
