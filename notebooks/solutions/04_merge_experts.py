"""Solutions of the exercises of notebook 04; look after you have tried."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

warm_up = 0.5  # half of the sum is the average


def build(models: Sequence[dict[str, np.ndarray]], weights: Sequence[float]) -> dict[str, np.ndarray]:
    """Average models by weight; all must have the same tensors, and the weights are taken as shares."""
    first, total = models[0], sum(weights)
    if len(weights) != len(models) or total == 0:
        raise ValueError("each model needs a weight, and the weights must not sum to 0")
    shapes = {name: tensor.shape for name, tensor in first.items()}
    if any({name: tensor.shape for name, tensor in model.items()} != shapes for model in models):
        raise ValueError("the models differ in their tensors' names or shapes")
    return {name: sum(w * model[name] for w, model in zip(weights, models, strict=True)) / total for name in first}


def project(models: Sequence[float], loss: Callable[[float], float]) -> float:
    """Mix a greedy soup (Wortsman et al., 2022): best model first, and each other joins when the mean gets no worse."""
    if not models:
        raise ValueError("nothing to mix")
    best, *others = sorted(models, key=loss)
    soup = [best]
    for model in others:
        if loss(np.mean([*soup, model])) <= loss(np.mean(soup)):
            soup.append(model)
    return float(np.mean(soup))
