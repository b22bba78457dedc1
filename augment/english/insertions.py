"""Where a word may be inserted into an English text, and which words never are."""

from .negations import NEGATIONS
from .stopwords import STOP_WORDS


# Stop words that belong to the word after them, besides negations, whose scope would change: words of degree,
# numerals, and particles that begin a compound ("first class", "over time", "well made").
_CLOSE_WORDS = """
    aren don doesn didn hadn hasn haven isn wasn weren won wouldn shouldn couldn mustn needn ain
    more most much very too quite rather so as enough well how however
    first second third half once twice thrice hundred thousand million billion
    up down off out over under above below back away inside outside near past per via unlike except spite
"""

# Words that turn what follows into its opposite or into a mere possibility, or that name another one. Negations, words
# of contrast and other function words are stop words, which are never inserted either.
_OPERATORS = """
    absent alleged allegedly anti anyway apparent apparently artificial artificially conceivably contrarily contrary
    conversely counterfeit devoid doubtful doubtfully dubious dubiously failed fake false falsely fictional fictitious
    former formerly imaginary implausibly impossible impossibly improbable improbably improper improperly inadequate
    inadequately incapable incorrect incorrectly insufficient insufficiently lacking lesser merely minimal minimally
    missing mock mocking nearly negative negatively negligible next nil nominal nominally nonexistent null opposite
    ostensible ostensibly partial partially partly phony possible possibly potential potentially previous previously
    pseudo purported purportedly questionable questionably regardless reverse seeming seemingly simply sole solely
    supposed supposedly theoretical theoretically unable unlikely unsuccessful unsuccessfully untrue virtual virtually
    void wrong wrongly
"""

# Words that judge: in a text about something else they may be the whole label.
_JUDGEMENTS = """
    amazing awesome awful bad badly beautiful beautifully best better boring brilliant delightful disappointing
    dreadful dull enjoyable evil excellent fantastic favorite favourite fine funny good great happy horrible horribly
    lousy lovely magnificent marvelous mediocre nice nicely outstanding pathetic perfect pleasant poor poorly
    positive ridiculous sad silly stupid superb terrible ugly unpleasant useful useless weak wonderful wonderfully
    worse worst worthless worthy
"""

# Phrases of a stop word and the word after it that are one expression.
_FIXED_PHRASES = """
    of course, of late, of age, of note, in fact, in general, in particular, in short, in brief, in turn, in place,
    in part, in touch, in love, in vain, in advance, in progress, in public, in private, in common, in charge, in
    store, in trouble, in time, in spite, in addition, in case, in front, in favor, in favour, in terms, in search,
    in line, in light, in need, in danger, in order, in person, in practice, in theory, in principle, in question, in
    response, in return, in reality, in sight, in tow, in tune, in detail, in effect, in hand, in mind, in power, in
    use, at last, at best, at worst, at times, at hand, at heart, at home, at large, at work, at stake, at random, at
    odds, at ease, at risk, at fault, at length, at peace, at war, at night, at present, at sea, by accident, by
    chance, by far, by heart, by mistake, by nature, by hand, by means, by way, by virtue, by name, for example, for
    instance, for sure, for good, for granted, for real, for free, for sale, for fun, for lack, from scratch, from
    time, on board, on purpose, on time, on sale, on top, on earth, on screen, on hold, on track, on fire, on foot,
    on edge, on duty, on average, on behalf, on account, on target, on paper, on film, on tv, to date, to death, to
    blame, to mind, with respect, with regard, due to, such things, all right, all star, let alone, let go, each
    time, every time, some time, some day, one day, one time, one thing, any time, this time, that way, this way, a
    bit, a couple, a number, the fact, the way, the rest
"""

NEVER_INSERTED = frozenset(_OPERATORS.split()) | frozenset(_JUDGEMENTS.split())
_BEFORE_INSERTIONS = STOP_WORDS - NEGATIONS - frozenset(_CLOSE_WORDS.split())
_FIXED = frozenset(tuple(phrase.split()) for phrase in _FIXED_PHRASES.split(","))


def can_separate(left: str, right: str) -> bool:
    """
    Whether a modifier may come between two words that stand side by side, both in lower case. It may after a function
    word and before a word with a meaning of its own ("was awful"), unless both are one expression ("of course"). Of
    two words with a meaning of their own, too many are a compound or a name ("high school", "new york").
    """
    return left in _BEFORE_INSERTIONS and right not in STOP_WORDS and (left, right) not in _FIXED
