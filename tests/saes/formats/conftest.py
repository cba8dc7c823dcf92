"""An SAE's answers, ours against those of whoever owns its format."""

import pytest
import torch

from clampdown.recipe import Clamp
from clampdown.steering.edits import compile_edit


@pytest.fixture
def same_answers():
    """Encode, decode and a clamp of ten latents on random residuals; `decode` is told the residuals it goes back to."""

    def check(sae, encode, decode, atol=2e-4, rtol=1e-4):
        x = 0.5 + 2 * torch.randn(300, sae.d_model, generator=torch.Generator().manual_seed(7))
        with torch.no_grad():
            z = encode(x).float()
            on = (z > 0).float().mean(0)
            assert 0 < on.mean() < 0.9  # else it would show nothing
            torch.testing.assert_close(sae.encode(x), z, atol=atol, rtol=rtol)
            torch.testing.assert_close(sae.decode(z, sae.normalised(x)), decode(z, x).float(), atol=atol, rtol=rtol)
            latents = on.argsort(descending=True)[:: max(1, len(on) // 10)][:10].tolist()  # busy ones and idle ones
            torch.testing.assert_close(sae.encode_latents(x, latents), z[:, latents], atol=atol, rtol=rtol)
            values = dict(zip(latents, [0.0, 1.0, 2.5, 4.0, 6.0, 0.5, 9.0, 12.0, 3.0, 7.0], strict=True))
            clamped = z.clone()
            clamped[:, latents] = torch.tensor(list(values.values()))
            difference = (decode(clamped, x) - decode(z, x)).float()
        edit = compile_edit(
            Clamp(sae.name, "", sae.layer, values),
            n_layers=sae.layer + 1,
            d_model=sae.d_model,
            device=torch.device("cpu"),
            saes=[sae],
        )
        assert difference.norm(dim=-1).min() > 0
        torch.testing.assert_close(edit.delta(x), difference, atol=10 * atol, rtol=10 * rtol)

    return check
