"""For every plugin: a configuration that passes, one that does not, and what is said about it."""

from typing import Any

_UP = {"host": "h", "port": 1}
_TYPE = "wrong type: expected {}, got {}"


def _wrong(field: str, expected: str, got: str = "string") -> str:
    return f'property "{field}" validation failed: {_TYPE.format(expected, got)}'


def _missing(field: str) -> str:
    return f'property "{field}" is required'


def _small(field: str, got: int, least: int) -> str:
    return f'property "{field}" validation failed: expected {got} to be at least {least}'


def _enum(field: str) -> str:
    return f'property "{field}" validation failed: matches none of the enum values'


_NONE = "value should match only one schema, but matches none"
_OPENAI = {"provider": "openai", "auth": {"header": {"a": "b"}}}
_LUA = {"functions": ["return function() end"]}
_SAML_FIELDS = (
    *("sp_issuer", "idp_uri", "idp_cert", "login_callback_uri", "logout_uri", "logout_callback_uri"),
    *("logout_redirect_uri", "sp_cert", "sp_private_key", "secret"),
)
_SAML = dict.fromkeys(_SAML_FIELDS, "secret-of-8")
_LIMIT = {"count": 1, "time_window": 1}
_CLICKHOUSE = {"endpoint_addr": "http://h", "user": "", "password": "", "database": "", "logtable": ""}
_AZURE = {"endpoint": "e", "api_key": "k"}

ROWS: dict[str, tuple[Any, Any, str]] = {
    "sticky": ({}, {"same_site": "None"}, 'property "same_site" validation failed: None needs "secure": true'),
    "redirect": ({"uri": "/a"}, {"regex_uri": ["(", "/"]}, "invalid regex_uri((, /): "),
    "proxy-rewrite": ({"uri": "/a"}, {"headers": {"a": "b\n"}}, "invalid value character in header"),
    "response-rewrite": ({"body": "x"}, {"body": "?", "body_base64": True}, "invalid base64 content"),
    "key-auth": ({}, {"realm": ""}, 'property "realm" validation failed: string too short'),
    "basic-auth": ({}, {"hide_credentials": 1}, _wrong("hide_credentials", "boolean", "number")),
    "jwt-auth": ({}, {"claims_to_verify": ["iat"]}, 'property "claims_to_verify" validation failed: '),
    "hmac-auth": ({}, {"clock_skew": 0}, _small("clock_skew", 0, 1)),
    "consumer-restriction": ({"whitelist": ["a"]}, {}, "object matches none of the required: "),
    "ip-restriction": ({"whitelist": ["::1", "10.0.0.0/8"]}, {"whitelist": ["::1/999"]}, "invalid ip address: ::1/999"),
    "ua-restriction": ({"allowlist": ["a"]}, {"allowlist": ["("]}, "invalid regex(()"),
    "referer-restriction": ({"whitelist": ["*.a"]}, {}, _NONE),
    "uri-blocker": ({"block_rules": ["^/a"]}, {}, _missing("block_rules")),
    "cors": ({}, {"allow_credential": True}, "you can not set '*' for other option when 'allow_credential' is true"),
    "limit-req": ({"rate": 1, "burst": 0, "key": "k"}, {"rate": 0, "burst": 0, "key": "k"}, 'property "rate"'),
    "limit-conn": ({"conn": 1, "burst": 0, "default_conn_delay": 1, "key": "k"}, {"conn": 1}, _NONE),
    "limit-count": (_LIMIT, {**_LIMIT, "policy": "redis"}, "then clause did not match"),
    "graphql-limit-count": (_LIMIT, {**_LIMIT, "rules": []}, "count/time_window and rules cannot be"),
    "traffic-split": (
        {},
        {"rules": [{"match": [{"vars": [["a", "?", 1]]}]}]},
        "failed to validate the 'vars' expression",
    ),
    "proxy-mirror": ({"host": "http://h"}, {"host": "h"}, 'property "host" validation failed: failed to match'),
    "fault-injection": ({"delay": {"duration": 0}}, {}, "expect object to have at least 1 properties"),
    "mocking": ({"response_example": ""}, {}, "object matches none of the required"),
    "request-id": ({}, {"algorithm": "md5"}, _enum("algorithm")),
    "real-ip": ({"source": "s"}, {}, _missing("source")),
    "client-control": ({}, {"max_body_size": -1}, _small("max_body_size", -1, 0)),
    "api-breaker": ({"break_response_code": 502}, {}, _missing("break_response_code")),
    "prometheus": ({}, {"prefer_name": 1}, _wrong("prefer_name", "boolean", "number")),
    "http-logger": ({"uri": "http://h"}, {}, _missing("uri")),
    "file-logger": ({"path": "p"}, {"match": [[["a", "?", 1]]]}, "failed to validate the 'match' expression"),
    "tcp-logger": (_UP, {"port": 1}, _missing("host")),
    "udp-logger": (_UP, {"port": 1}, _missing("host")),
    "syslog": (_UP, {**_UP, "pool_size": 4}, _small("pool_size", 4, 5)),
    "serverless-pre-function": (_LUA, {"functions": []}, 'property "functions" validation failed: expect array'),
    "serverless-post-function": (_LUA, {"functions": ["return ("]}, "failed to loadstring: "),
    "request-validation": ({"body_schema": {}}, {}, "object matches none of the required"),
    "csrf": ({"key": "k"}, {}, _missing("key")),
    "forward-auth": ({"uri": "u"}, {}, _missing("uri")),
    "echo": ({"body": "b"}, {"headers": {"a": 1}}, "object matches none of the required"),
    "public-api": ({}, {"uri": 1}, _wrong("uri", "string", "number")),
    "gzip": ({"types": "*"}, {"types": "text/html"}, 'property "types" validation failed: '),
    "brotli": ({}, {"lgwin": 1}, _enum("lgwin")),
    "zipkin": ({"endpoint": "e", "sample_ratio": 1}, {"endpoint": "e"}, _missing("sample_ratio")),
    "proxy-cache": ({}, {"cache_key": ["$request_method"]}, "cache_key variable $request_method unsupported"),
    "grpc-transcode": (
        {"proto_id": 1, "service": "s", "method": "m"},
        {"proto_id": 1, "method": "m"},
        _missing("service"),
    ),
    "openid-connect": (
        {"client_id": "c", "discovery": "d", "bearer_only": True},
        {"client_id": "c", "discovery": "d"},
        'property "session.secret" is required when "bearer_only" is false',
    ),
    "ldap-auth": ({"base_dn": "b", "ldap_uri": "l"}, {}, _missing("base_dn")),
    "ldap-auth-advanced": (
        {"base_dn": "b", "ldap_uri": "l"},
        {"base_dn": "b", "ldap_uri": "l", "bind_dn": "d"},
        "ldap_password is required when bind_dn is set",
    ),
    "jwe-decrypt": ({}, {"strict": 1}, _wrong("strict", "boolean", "number")),
    "multi-auth": (
        {"auth_plugins": [{"key-auth": {}}, {"basic-auth": {}}]},
        {"auth_plugins": [{"cors": {}}, {}]},
        "cors plugin is not supported",
    ),
    "workflow": (
        {"rules": [{"actions": [["return", {"code": 403}]]}]},
        {"rules": [{"actions": [["fly"]]}]},
        "unsupported action: fly",
    ),
    "node-status": ({}, [1], _TYPE.format("object", "table")),
    "server-info": ({}, [1], _TYPE.format("object", "table")),
    "batch-requests": ({}, [1], _TYPE.format("object", "table")),
    "body-transformer": ({"request": {"template": "t"}}, {}, "object matches none of the required"),
    "opa": ({"host": "h", "policy": "p"}, {"host": "h"}, _missing("policy")),
    "acl": ({"allow_labels": {"a": ["b"]}}, {}, "object matches none of the required"),
    "attach-consumer-label": (
        {"headers": {"a": "$b"}},
        {"headers": {"a": "b"}},
        'property "headers" validation failed',
    ),
    "traffic-label": ({"rules": [{"actions": [{"weight": 1}]}]}, {"rules": []}, 'property "rules" validation failed'),
    "data-mask": (
        {},
        {"request": [{"action": "regex", "name": "n", "type": "query"}]},
        'property "request" validation',
    ),
    "degraphql": ({"query": "q"}, {"query": ""}, 'property "query" validation failed: string too short'),
    "error-page": ({}, {"_meta": 1}, _wrong("_meta", "object", "number")),
    "exit-transformer": (_LUA, {}, _missing("functions")),
    "example-plugin": ({"i": 1}, {"i": -1}, _small("i", -1, 0)),
    "ext-plugin-pre-req": ({}, {"conf": []}, 'property "conf" validation failed: expect array'),
    "ext-plugin-post-req": ({}, {"conf": [{}]}, 'property "conf" validation failed: failed to validate item 1'),
    "ext-plugin-post-resp": ({}, {"allow_degradation": 1}, _wrong("allow_degradation", "boolean", "number")),
    "grpc-web": ({}, {"cors_allow_headers": 1}, _wrong("cors_allow_headers", "string", "number")),
    "inspect": ({}, [1], _TYPE.format("object", "table")),
    "log-rotate": ({}, [1], _TYPE.format("object", "table")),
    "ocsp-stapling": ({}, [1], _TYPE.format("object", "table")),
    "gm": ({}, [1], _TYPE.format("object", "table")),
    "mcp-bridge": ({"command": "c"}, {}, _missing("command")),
    "proxy-buffering": ({}, {"disable_proxy_buffering": 1}, _wrong("disable_proxy_buffering", "boolean", "number")),
    "proxy-control": ({}, {"request_buffering": 1}, _wrong("request_buffering", "boolean", "number")),
    "kafka-proxy": (
        {},
        {"sasl": {"username": "u"}},
        'property "sasl" validation failed: property "password" is required',
    ),
    "dubbo-proxy": (
        {"service_name": "s", "service_version": "1.0.0"},
        {"service_name": "s"},
        _missing("service_version"),
    ),
    "http-dubbo": ({"service_name": "s", "method": "m"}, {"method": "m"}, _missing("service_name")),
    "chaitin-waf": ({}, {"mode": "on"}, _enum("mode")),
    "oas-validator": ({"spec": "{}"}, {"spec": "x"}, "invalid JSON string provided, err: "),
    "graphql-proxy-cache": ({}, {"cache_ttl": 0}, _small("cache_ttl", 0, 1)),
    "wolf-rbac": ({}, {"appid": 1}, _wrong("appid", "string", "number")),
    "kafka-logger": ({"brokers": [_UP], "kafka_topic": "t"}, {"kafka_topic": "t"}, _NONE),
    "rocketmq-logger": ({"nameserver_list": ["n"], "topic": "t"}, {"topic": "t"}, _missing("nameserver_list")),
    "clickhouse-logger": (_CLICKHOUSE, {}, _NONE),
    "elasticsearch-logger": ({"endpoint_addr": "http://h", "field": {"index": "i"}}, {}, _NONE),
    "loki-logger": ({"endpoint_addrs": ["http://h"]}, {}, _missing("endpoint_addrs")),
    "splunk-hec-logging": ({"endpoint": {"uri": "http://h", "token": "t"}}, {}, _missing("endpoint")),
    "skywalking-logger": ({"endpoint_addr": "http://h"}, {}, _missing("endpoint_addr")),
    "google-cloud-logging": ({"auth_file": "f"}, {}, _NONE),
    "sls-logger": (
        {**_UP, "project": "p", "logstore": "l", "access_key_id": "i", "access_key_secret": "s"},
        _UP,
        _missing("project"),
    ),
    "tencent-cloud-cls": (
        {"cls_host": "h", "cls_topic": "t", "secret_id": "i", "secret_key": "k"},
        {},
        _missing("cls_host"),
    ),
    "loggly": (
        {"customer_token": "t"},
        {"customer_token": "t", "tags": ["tag=x"]},
        'property "tags" validation failed',
    ),
    "lago": (
        {
            "endpoint_addrs": ["http://h"],
            "token": "t",
            "event_transaction_id": "a",
            "event_subscription_id": "b",
            "event_code": "c",
        },
        {},
        _missing("endpoint_addrs"),
    ),
    "error-log-logger": ({}, [1], _TYPE.format("object", "table")),
    "datadog": ({"constant_tags": ["a:b"]}, {"constant_tags": ["a:"]}, 'property "constant_tags" validation failed'),
    "skywalking": ({}, {"sample_ratio": 2}, 'property "sample_ratio" validation failed: expected 2 to be at most 1'),
    "opentelemetry": ({}, {"sampler": {"name": "x"}}, 'property "sampler" validation failed: property "name"'),
    "aws-lambda": ({"function_uri": "u"}, {}, _missing("function_uri")),
    "azure-functions": ({"function_uri": "u"}, {}, _missing("function_uri")),
    "openfunction": ({"function_uri": "u"}, {}, _missing("function_uri")),
    "openwhisk": (
        {"api_host": "h", "service_token": "t", "namespace": "n", "action": "a"},
        {"api_host": "h", "service_token": "t", "namespace": "n ", "action": "a"},
        'property "namespace"',
    ),
    "cas-auth": (
        {"idp_uri": "i", "cas_callback_uri": "c", "logout_uri": "l", "cookie": {"secret": "s" * 32}},
        {},
        _missing("idp_uri"),
    ),
    "saml-auth": (_SAML, {**_SAML, "secret": "short"}, 'property "secret" validation failed: string too short'),
    "dingtalk-auth": (
        {"app_key": "k", "app_secret": "s", "secret": "12345678", "redirect_uri": "r"},
        {},
        _missing("app_key"),
    ),
    "feishu-auth": (
        {"app_id": "k", "app_secret": "s", "secret": "12345678", "redirect_uri": "r", "auth_redirect_uri": "a"},
        {},
        _missing("app_id"),
    ),
    "authz-keycloak": ({"client_id": "c", "token_endpoint": "t"}, {"client_id": "c"}, "allOf 1 failed: "),
    "authz-casbin": ({"model": "m", "policy": "p", "username": "u"}, {}, _NONE),
    "authz-casdoor": (
        {"endpoint_addr": "http://a", "client_id": "c", "client_secret": "s", "callback_url": "http://b"},
        {},
        _missing("endpoint_addr"),
    ),
    "ai": ({}, {"_meta": 1}, _wrong("_meta", "object", "number")),
    "ai-proxy": (_OPENAI, {**_OPENAI, "provider": "x"}, _enum("provider")),
    "ai-proxy-multi": (
        {"instances": [{**_OPENAI, "name": "n", "weight": 1}]},
        {"instances": [{**_OPENAI, "name": "n", "weight": 1}] * 2},
        "duplicate instance name 'n'",
    ),
    "ai-cache": (
        {"redis_host": "ho"},
        {"redis_host": "ho", "layers": ["exact", "semantic"]},
        "allOf 1 failed: then clause",
    ),
    "ai-rate-limiting": (
        {"limit": 1, "time_window": 1},
        {"limit": 1},
        'property "time_window" is required when "limit"',
    ),
    "ai-prompt-template": ({"templates": [{"name": "n", "template": {}}]}, {}, _missing("templates")),
    "ai-prompt-decorator": ({"append": []}, {}, "object matches none of the required"),
    "ai-prompt-guard": ({}, {"deny_patterns": ["("]}, "invalid regex(()"),
    "ai-request-rewrite": (
        {**_OPENAI, "prompt": "p"},
        {**_OPENAI, "provider": "openai-compatible", "prompt": "p"},
        "override.endpoint is required for openai-compatible provider",
    ),
    "ai-rag": (
        {"embeddings_provider": {"azure_openai": _AZURE}, "vector_search_provider": {"azure_ai_search": _AZURE}},
        {},
        _missing("embeddings_provider"),
    ),
    "ai-aws-content-moderation": (
        {"comprehend": {"access_key_id": "a", "secret_access_key": "s", "region": "r"}},
        {},
        _missing("comprehend"),
    ),
    "ai-aliyun-content-moderation": (
        {"endpoint": "e", "region_id": "r", "access_key_id": "a", "access_key_secret": "s"},
        {},
        _missing("endpoint"),
    ),
    "ai-lakera-guard": ({"api_key": "k"}, {}, _missing("api_key")),
}
