"""prometheus: what passes is counted; gateways count every route, also those that do not ask (userspace/obs)."""

from userspace.plugins.filter import Conf, Filter


class Prometheus(Filter):
    NAME = "prometheus"

    @classmethod
    def unserved(cls, conf: Conf) -> str | None:
        return 'property "prefer_name": not served by unilb' if conf.get("prefer_name") else None
