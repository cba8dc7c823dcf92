"""That shapes are checked at all: a call with another one must fail."""

import pytest
import torch
from jaxtyping import TypeCheckError

from clampdown.saes.tiles import product
from clampdown.steering.bank import Bank


@pytest.mark.parametrize("wrong", [torch.ones(3, 4, 5), torch.ones(3, 4, dtype=torch.long)])
def test_a_residual_of_another_shape_or_dtype_is_told(wrong):
    with pytest.raises(TypeCheckError, match="token d_model"):
        Bank([]).edited(wrong, 0)


def test_one_name_is_one_length_throughout_a_call():
    assert product(torch.ones(3, 4), torch.ones(2, 4)).shape == (3, 2)
    with pytest.raises(TypeCheckError, match="'n d'"):
        product(torch.ones(3, 4), torch.ones(2, 5))
