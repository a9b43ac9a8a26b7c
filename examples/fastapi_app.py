"""A FastAPI app that takes uploads, with progress.

Start it, with as many workers as you like:

    uvicorn --app-dir examples --port 8000 --workers 4 fastapi_app:app

Send something slowly, and look meanwhile:

    curl --limit-rate 1M -F file=@big.iso 'http://localhost:8000/upload?X-Progress-ID=mine' &
    curl 'http://localhost:8000/progress?X-Progress-ID=mine'
"""

from fastapi import FastAPI, UploadFile

from mod_progress.asgi import ProgressMiddleware

app = FastAPI()
app.add_middleware(ProgressMiddleware)


@app.post("/upload")
async def upload(file: UploadFile) -> dict[str, str | int | None]:
    """Answer with the name and size of the file."""
    return {"name": file.filename, "size": file.size}
