"""A FastAPI app for a page in React, which uploads with progress.

Build the page, start the app, and open http://localhost:8000/:

    npm --prefix examples/react install
    npm --prefix examples/react run build
    uvicorn --app-dir examples/react --port 8000 app:app
"""

from pathlib import Path

from fastapi import FastAPI, UploadFile
from fastapi.staticfiles import StaticFiles

from mod_progress.asgi import ProgressMiddleware

app = FastAPI()
app.add_middleware(ProgressMiddleware, script="/progress.js")


@app.post("/upload")
async def upload(file: UploadFile) -> dict[str, str | int | None]:
    """Answer with the name and size of the file."""
    return {"name": file.filename, "size": file.size}


app.mount("/", StaticFiles(directory=Path(__file__).with_name("public"), html=True))
