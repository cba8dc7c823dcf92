"""The hub on this machine, for whatever loads from one."""

import pytest
import transformers
from hub import Hub


@pytest.fixture
def hub(tiny, tmp_path, monkeypatch):
    """A hub on this machine, with an empty cache before it."""
    from huggingface_hub import constants

    served = Hub({"org/tiny": tiny.folder})
    monkeypatch.setattr(constants, "ENDPOINT", served.url)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", served.url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(transformers.utils.hub, "_hf_api", None, raising=False)  # it remembers where the hub was
    yield served
    served.close()
