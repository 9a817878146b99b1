"""People as Django's own users, and groups, each with the fields that django-scim2 keeps."""

from django.contrib.auth.models import AbstractUser
from django.db import models
from django_scim.models import AbstractSCIMGroupMixin, AbstractSCIMUserMixin


class Group(AbstractSCIMGroupMixin):
    """A group."""

    name = models.CharField(max_length=200, unique=True)


class Person(AbstractSCIMUserMixin, AbstractUser):
    """A user."""

    scim_groups = models.ManyToManyField(Group, related_name="user_set")
