"""The site that a configuration describes, while the configuration is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from mod_progress.config.errors import Place
from mod_progress.gateway.actions.flow import ActionList
from mod_progress.gateway.actions.tracking import SetOptions
from mod_progress.gateway.backends.actions import Backend
from mod_progress.gateway.exchange import Action
from mod_progress.gateway.files.static import Static
from mod_progress.gateway.files.upload_directories import UploadDirectories
from mod_progress.gateway.server.site import AccessLog, Site


class Probe(NamedTuple):
    """Something that a directive needs of the machine."""

    place: Place
    #: Raises `UnplacedError` where it is missing.
    run: Callable[[], None]
    #: Whether the gateway starts without it.
    is_optional: bool


@dataclass(slots=True)
class Draft:
    """An unfinished site: the directives of setup write to it, one after the other."""

    site: Site = field(default_factory=lambda: Site(action=ActionList(())))
    modules: set[str] = field(default_factory=set)
    access_log_form: str = "combined"
    #: The directories of all `upload.store`, also of those that are read after a `static`.
    uploads: UploadDirectories = field(default_factory=UploadDirectories)
    #: What `check` tries.
    probes: list[Probe] = field(default_factory=list)
    #: Options of setup that only actions take: they run before all other actions.
    _defaults: list[Action] = field(default_factory=list)
    _backends: dict[tuple[object, ...], Backend] = field(default_factory=dict)

    def require(self, place: Place, run: Callable[[], None]) -> None:
        """Add a probe of something that the gateway does not start without."""
        self.probes.append(Probe(place, run, is_optional=False))

    def expect(self, place: Place, run: Callable[[], None]) -> None:
        """Add a probe of something that may be missing for a while, or only for this user."""
        self.probes.append(Probe(place, run, is_optional=True))

    def set_default(self, option: Action) -> None:
        """Set an option for all requests; an action may set another value later."""
        if isinstance(option, SetOptions):
            self.site = replace(self.site, options=option.over(self.site.options))
        else:
            self._defaults.append(option)

    def backend(self, kind: Callable[..., Backend], *settings: object) -> Backend:
        """Return a backend of a kind; all that have the same settings share its connections."""
        key = (kind, *settings)
        if key not in self._backends:
            self._backends[key] = kind(*settings)
        return self._backends[key]

    def finish(self, action: Action) -> Site:
        """Return the site whose requests run through ``action``.

        As in lighttpd 2, a request that nothing else answers is for a file below the docroot.
        """
        log = self.site.access_log
        if log is not None:
            log = AccessLog(log.path, self.access_log_form)
        action = in_order((*self._defaults, action, Static(self.uploads)))
        return replace(self.site, action=action, access_log=log)


def in_order(actions: Iterable[Action]) -> Action:
    """Return one action that runs all of them, without a list in a list."""
    flat: list[Action] = []
    for action in actions:
        flat += action.actions if isinstance(action, ActionList) else (action,)
    return flat[0] if len(flat) == 1 else ActionList(tuple(flat))
