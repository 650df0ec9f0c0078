"""ai-rag: documents for a prompt."""

from control.model.terms import flag, record, text

NAME = "ai-rag"
VERSION = 0.1
PRIORITY = 1060

_SERVICE = record({"endpoint": text(), "api_key": text()}, ["endpoint", "api_key"])

SCHEMA = record(
    {
        "embeddings_provider": record({"azure_openai": _SERVICE}, ["azure_openai"], maxProperties=1),
        "vector_search_provider": record({"azure_ai_search": _SERVICE}, ["azure_ai_search"], maxProperties=1),
        "ssl_verify": flag(True),
    },
    ["embeddings_provider", "vector_search_provider"],
    encrypt=["embeddings_provider.azure_openai.api_key", "vector_search_provider.azure_ai_search.api_key"],
)
