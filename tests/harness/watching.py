"""What deploy/ has for Prometheus and Alertmanager, with the addresses of a test in it."""

import pathlib
import re

DEPLOY = pathlib.Path(__file__).parents[2] / "deploy"


def alertmanager_config(folder, admin_port, token=None, wait="10s", interval="1m"):
    """A file in `folder` whose incidents go to this gateway; with the token in a file beside it."""
    text = (DEPLOY / "alertmanager/alertmanager.yml").read_text()
    text = re.sub(r"group_wait: .*", f"group_wait: {wait}", text)
    text = re.sub(r"group_interval: .*", f"group_interval: {interval}", text)
    text = text.replace("127.0.0.1:8081", f"127.0.0.1:{admin_port}")
    if token is not None:
        (folder / "token").write_text(token)
        text = text.replace("# http_config: {authorization: {credentials_file: /etc/alertmanager/penstock-token}}",
                            f"http_config: {{authorization: {{credentials_file: {folder}/token}}}}")
    (folder / "penstock.tmpl").write_text((DEPLOY / "alertmanager/penstock.tmpl").read_text())
    (folder / "alertmanager.yml").write_text(text)
    return folder / "alertmanager.yml"


def prometheus_config(folder, admin_ports, alertmanager_port, haproxy_port=None, own_port=None, interval="1s",
                      hold=None):
    """Likewise; `hold`: in place of what the alerts' `for` and `keep_firing_for` say."""
    rules = folder / "rules"
    rules.mkdir(exist_ok=True)
    for path in (DEPLOY / "prometheus/rules").glob("*.rules.yml"):
        text = path.read_text()
        if hold is not None:
            text = re.sub(r"(?m)^( +(?:for|keep_firing_for)): .*$", rf"\1: {hold}", text)
        (rules / path.name).write_text(text)
    text = (DEPLOY / "prometheus/prometheus.yml").read_text()
    text = text.replace("15s", interval).replace("127.0.0.1:9093", f"127.0.0.1:{alertmanager_port}")
    text = text.replace("[127.0.0.1:8081]", "[" + ", ".join(f"127.0.0.1:{port}" for port in admin_ports) + "]")
    text = text.replace("127.0.0.1:8405", f"127.0.0.1:{haproxy_port or 1}")
    text = text.replace("127.0.0.1:9090", f"127.0.0.1:{own_port or 1}")
    (folder / "prometheus.yml").write_text(text)
    return folder / "prometheus.yml"
