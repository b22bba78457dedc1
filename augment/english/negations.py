"""Words on which the meaning of all others depends: negations, and words of contrast."""

# Words that deny what follows, or nearly so. Some write "n't" without an apostrophe.
_NEGATIONS = """
    no not nor neither none never nobody nothing nowhere cannot without non nope nary naught
    hardly scarcely barely seldom rarely few fewer little less least
    aint arent cant couldnt didnt doesnt dont hadnt hasnt havent isnt mustnt neednt shouldnt wasnt werent wont
    wouldnt nt
"""
_CONTRASTS = """
    but yet though although albeit however nevertheless nonetheless notwithstanding despite spite whereas while unless
    except instead otherwise unlike
"""
# The verbs that take "n't", and "n't" alone, as some data sets have it.
_CONTRACTED = "ai are ca could did does do had has have is must need sha should was were wo would"

NEGATIONS = frozenset(_NEGATIONS.split())
CONTRASTS = frozenset(_CONTRASTS.split())
CONTRACTIONS = ("n't", *(f"{verb}n't" for verb in _CONTRACTED.split()))
