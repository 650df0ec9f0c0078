"""ModelError: an object that is not valid, and which of its fields is why."""


class ModelError(ValueError):
    """`str(error)` is a sentence for the person who wrote the object; it names the field in APISIX's words."""
