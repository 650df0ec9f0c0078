"""prometheus: count what passes."""

from control.model.terms import Schema, choice, flag, items, record

NAME = "prometheus"
VERSION = 0.2
PRIORITY = 500
RUN_POLICY = "prefer_route"

_ALWAYS = ("consumer", "node", "request_type", "request_llm_model", "llm_model")
_IDS = ("route_id", "service_id")
_CACHE = ("route", "route_id", "service", "service_id", *_ALWAYS)


def _labels(*names: str) -> Schema:
    return items(choice(*names))


SCHEMA = record({"prefer_name": flag(False)})
STREAM_SCHEMA = SCHEMA
METADATA_SCHEMA = record(
    {
        "disabled_labels": record(
            {
                "http_status": _labels("route", "matched_uri", "matched_host", "service", *_ALWAYS, "response_source"),
                "http_latency": _labels("route", "service", *_ALWAYS),
                "bandwidth": _labels("route", "service", *_ALWAYS),
                "llm_latency": _labels(*_IDS, *_ALWAYS),
                "llm_prompt_tokens": _labels(*_IDS, *_ALWAYS),
                "llm_completion_tokens": _labels(*_IDS, *_ALWAYS),
                "llm_prompt_tokens_dist": _labels(*_IDS, *_ALWAYS),
                "llm_completion_tokens_dist": _labels(*_IDS, *_ALWAYS),
                "llm_active_connections": _labels(
                    "route", "route_id", "matched_uri", "matched_host", "service", "service_id", *_ALWAYS
                ),
                "ai_cache_hits_total": _labels(*_CACHE),
                "ai_cache_misses_total": _labels(*_CACHE),
                "ai_cache_bypasses_total": _labels(*_CACHE),
                "ai_cache_embedding_latency": _labels(*_CACHE),
            },
            closed=True,
        )
    }
)
