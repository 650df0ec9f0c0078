import pytest

from userspace.config.extra_labels import MAX_LABELS, ExtraLabel, by_metric, read_extra_labels
from userspace.config.settings import Settings, SettingsError


def test_labels_are_read_by_metric() -> None:
    texts = ("http_latency.addr=$upstream_addr", "http_status.addr=$upstream_addr", "http_status.agent=$http_x.y")
    assert read_extra_labels(texts[:1]) == (ExtraLabel("http_latency", "addr", "upstream_addr"),)
    status, bandwidth, latency = by_metric(texts)
    assert [label.name for label in status] == ["addr", "agent"] and not bandwidth
    assert latency == (ExtraLabel("http_latency", "addr", "upstream_addr"),)


@pytest.mark.parametrize(
    ("texts", "why"),
    [
        (["http_status.a=b"], '"http_status.a=b" is not METRIC.LABEL=$VARIABLE, METRIC one of http_status, bandwidth'),
        (["other.a=$b"], '"other.a=$b" is not'),
        (["http_status.1=$b"], '"http_status.1=$b" is not'),
        (["http_status.node=$b"], '"http_status.node=$b": http_status has a label node'),
        (["bandwidth.a=$b", "bandwidth.a=$c"], '"bandwidth.a=$c": bandwidth has a label a'),
        ([f"bandwidth.a{number}=$b" for number in range(MAX_LABELS + 1)], f"more than {MAX_LABELS}"),
    ],
)
def test_what_is_wrong_is_named_with_the_setting(texts: list[str], why: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_json({"extra_labels": texts})
    assert str(caught.value).startswith(f"extra_labels: {why}")


def test_a_setting_that_is_no_list_is_named() -> None:
    with pytest.raises(SettingsError, match=r"extra_labels must be a list of METRIC.LABEL=\$VARIABLE"):
        Settings.from_json({"extra_labels": "http_status.a=$b"})
    assert Settings.from_json({"extra_labels": ["http_status.a=$b"]}).extra_labels == ("http_status.a=$b",)
