"""A Django project in one file, with a form that shows the progress of its upload.

Start it, with as many workers as you like, and open http://localhost:8000/. Threads let a busy
worker answer too:

    gunicorn --chdir examples --bind localhost:8000 --workers 4 --threads 4 django_app:application

Or send something slowly, and look meanwhile:

    curl --limit-rate 1M -F file=@big.iso 'http://localhost:8000/upload?X-Progress-ID=mine' &
    curl 'http://localhost:8000/progress?X-Progress-ID=mine'

In a project of your own, the last line belongs into its wsgi.py; in asgi.py it is the same, with
mod_progress.asgi. The form's token is for CsrfViewMiddleware, which such a project has.
"""

from django import forms
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse, JsonResponse
from django.template import engines
from django.urls import path

from mod_progress.wsgi import ProgressMiddleware

PAGE = """<!doctype html>
<title>Upload</title>
<script type="module" src="/progress.js"></script>
<form data-progress method="post" action="/upload" enctype="multipart/form-data">
  {% csrf_token %}
  {{ form }}
  <button>Upload</button>
</form>
"""

settings.configure(
    ALLOWED_HOSTS=["localhost"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="only an example",
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
)


class UploadForm(forms.Form):
    """A form with a file."""

    file = forms.FileField()


def upload(request):
    """Answer with the name and size of the file, or with the form."""
    form = UploadForm(request.POST or None, request.FILES or None)
    if form.is_valid():
        file = form.cleaned_data["file"]
        return JsonResponse({"name": file.name, "size": file.size})
    return HttpResponse(engines["django"].from_string(PAGE).render({"form": form}, request))


urlpatterns = [path("", upload), path("upload", upload)]

application = ProgressMiddleware(get_wsgi_application(), script="/progress.js")
