"""A Flask app that takes uploads, with progress, and a page for them.

Start it, with as many workers as you like, and open http://localhost:8000/. Threads let a busy
worker answer too:

    gunicorn --chdir examples --bind localhost:8000 --workers 4 --threads 4 flask_app:app

Or send something slowly, and look meanwhile:

    curl --limit-rate 1M -F file=@big.iso 'http://localhost:8000/upload?X-Progress-ID=mine' &
    curl 'http://localhost:8000/progress?X-Progress-ID=mine'
"""

from flask import Flask, request

from mod_progress.wsgi import ProgressMiddleware

PAGE = """<!doctype html>
<title>Upload</title>
<script type="module" src="/progress.js"></script>
<form data-progress method="post" action="/upload" enctype="multipart/form-data">
  <input type="file" name="file" required>
  <button>Upload</button>
</form>
"""

app = Flask(__name__)
app.wsgi_app = ProgressMiddleware(app.wsgi_app, script="/progress.js")


@app.get("/")
def page():
    """Answer with the form."""
    return PAGE


@app.post("/upload")
def upload():
    """Answer with the name and size of the file."""
    file = request.files["file"]
    return {"name": file.filename, "size": file.seek(0, 2)}
