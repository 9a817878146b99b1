"""django-scim2 (PyPI) in one process, with its users in SQLite. Arguments: port, token, folder."""

import sys
from pathlib import Path
from wsgiref.simple_server import make_server

import django
from django.conf import settings

port, token, folder = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])


class Bearer:
    """Logs in whoever has the token."""

    def __init__(self, answer):
        self.answer = answer

    def __call__(self, request):
        from people.models import Person

        if request.headers.get("Authorization") == f"Bearer {token}":
            request.user = Person(username="bridge")
        return self.answer(request)


settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    AUTH_USER_MODEL="people.Person",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": folder / "people.sqlite"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "people", "django_scim"],
    MIDDLEWARE=["__main__.Bearer", "django_scim.middleware.SCIMAuthCheckMiddleware"],
    ROOT_URLCONF="__main__",
    SCIM_SERVICE_PROVIDER={
        "NETLOC": f"127.0.0.1:{port}",
        "SCHEME": "http",
        "AUTHENTICATION_SCHEMES": [
            {"type": "oauthbearertoken", "name": "Bearer", "description": "A token.", "primary": True},
        ],
        "GROUP_MODEL": "people.models.Group",
    },
    SECRET_KEY="of a test",
    USE_TZ=True,
)
django.setup()

from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.urls import include, path  # noqa: E402

urlpatterns = [path("scim/v2/", include("django_scim.urls", namespace="scim"))]
call_command("migrate", run_syncdb=True, verbosity=0)
make_server("127.0.0.1", port, get_wsgi_application()).serve_forever()
