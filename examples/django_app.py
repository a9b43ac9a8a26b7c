"""A Django project in one file that takes uploads, with progress.

Start it, with as many workers as you like; threads let a busy worker answer too:

    gunicorn --chdir examples --bind localhost:8000 --workers 4 --threads 4 django_app:application

Send something slowly, and look meanwhile:

    curl --limit-rate 1M -F file=@big.iso 'http://localhost:8000/upload?X-Progress-ID=mine' &
    curl 'http://localhost:8000/progress?X-Progress-ID=mine'

In a project of your own, the last line belongs into its wsgi.py; in asgi.py it is the same, with
mod_progress.asgi.
"""

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path

from mod_progress.wsgi import ProgressMiddleware

settings.configure(ALLOWED_HOSTS=["localhost"], ROOT_URLCONF=__name__)


def upload(request):
    """Answer with the name and size of the file."""
    file = request.FILES["file"]
    return JsonResponse({"name": file.name, "size": file.size})


urlpatterns = [path("upload", upload)]

application = ProgressMiddleware(get_wsgi_application())
