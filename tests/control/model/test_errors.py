"""ModelError."""

from control.model.errors import ModelError


def test_its_text_is_what_the_author_of_the_object_reads() -> None:
    assert str(ModelError('property "a" is required')) == 'property "a" is required'
    assert isinstance(ModelError(""), ValueError)
