"""A FastAPI app that takes uploads, with progress, and a page for them.

Start it, with as many workers as you like, and open http://localhost:8000/:

    uvicorn --app-dir examples --port 8000 --workers 4 fastapi_app:app

Or send something slowly, and look meanwhile:

    curl --limit-rate 1M -F file=@big.iso 'http://localhost:8000/upload?X-Progress-ID=mine' &
    curl 'http://localhost:8000/progress?X-Progress-ID=mine'
"""

from fastapi import FastAPI, UploadFile
from fastapi.responses import HTMLResponse

from mod_progress.asgi import ProgressMiddleware

PAGE = """<!doctype html>
<title>Upload</title>
<script type="module" src="/progress.js"></script>
<form data-progress method="post" action="/upload" enctype="multipart/form-data">
  <input type="file" name="file" required>
  <button>Upload</button>
</form>
"""

app = FastAPI()
app.add_middleware(ProgressMiddleware, script="/progress.js")


@app.get("/", response_class=HTMLResponse)
async def page() -> str:
    """Answer with the form."""
    return PAGE


@app.post("/upload")
async def upload(file: UploadFile) -> dict[str, str | int | None]:
    """Answer with the name and size of the file."""
    return {"name": file.filename, "size": file.size}
