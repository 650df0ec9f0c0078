"""The page for people."""

from control.control_api.health_page import page


def test_every_endpoint_has_a_row_and_nothing_is_markup() -> None:
    counter = {"success": 1, "http_failure": 2, "tcp_failure": 3, "timeout_failure": 4}
    node = {"ip": "10.0.0.1", "port": 80, "status": "mostly_unhealthy", "counter": counter}
    text = page([{"name": "/apisix/routes/<b>", "type": "http", "nodes": [node]}])
    cells = [line.strip() for line in text.splitlines() if "<td>" in line]
    assert cells == [
        f"<td>{cell}</td>"
        for cell in (1, "/apisix/routes/&lt;b&gt;", "http", "10.0.0.1:80", "mostly_unhealthy", 1, 3, 2, 4)
    ]
    assert '<tr bgcolor="#FF0000">' in text
