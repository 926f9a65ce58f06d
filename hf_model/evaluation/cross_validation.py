"""Folds of a cross-validation by singer: the groups of recordings that each fold holds out."""

from __future__ import annotations

from collections.abc import Mapping

N_FOLDS = 5


def assign_folds(notes: Mapping[str, int], n_folds: int = N_FOLDS) -> list[list[str]]:
    """Assign groups to folds so that the folds have similar numbers of notes.

    Groups stay whole; the largest is assigned first, each to the fold with the fewest notes so far. A group larger than
    a fold's share (ssvd-1201 has 45 % of SSVD's notes) fills a fold alone.

    Parameters
    ----------
    notes : mapping of str to int
        Notes of each group (:attr:`hf_model.corpora.records.VoiceRecord.singer`).
    n_folds : int
        At least 1, and no more than there are groups.

    Returns
    -------
    list of list of str
        The groups that each fold holds out, sorted; every group once, no fold empty, whatever the order of
        ``notes``.

    Raises
    ------
    ValueError
        If there are fewer groups than folds.
    """
    if not 1 <= n_folds <= len(notes):
        msg = f"n_folds is {n_folds}, allowed is 1 to the number of groups, {len(notes)}"
        raise ValueError(msg)
    folds: list[list[str]] = [[] for _ in range(n_folds)]
    total = [0] * n_folds
    for group in sorted(notes, key=lambda name: (-notes[name], name)):
        smallest = min(range(n_folds), key=lambda fold: (total[fold], len(folds[fold]), fold))
        folds[smallest].append(group)
        total[smallest] += notes[group]
    return [sorted(groups) for groups in folds]
