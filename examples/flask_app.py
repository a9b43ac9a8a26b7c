"""A Flask app that takes uploads, with progress.

Start it, with as many workers as you like; threads let a busy worker answer too:

    gunicorn --chdir examples --bind localhost:8000 --workers 4 --threads 4 flask_app:app

Send something slowly, and look meanwhile:

    curl --limit-rate 1M -F file=@big.iso 'http://localhost:8000/upload?X-Progress-ID=mine' &
    curl 'http://localhost:8000/progress?X-Progress-ID=mine'
"""

from flask import Flask, request

from mod_progress.wsgi import ProgressMiddleware

app = Flask(__name__)
app.wsgi_app = ProgressMiddleware(app.wsgi_app)


@app.post("/upload")
def upload():
    """Answer with the name and size of the file."""
    file = request.files["file"]
    return {"name": file.filename, "size": file.seek(0, 2)}
