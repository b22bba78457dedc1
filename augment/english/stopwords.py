"""Words that are never replaced, and words that are never offered as replacements."""

from .negations import CONTRASTS, NEGATIONS


# Function words, auxiliaries and number words, with the pieces that apostrophes leave of them. Adverbs and adjectives
# that mostly serve as function words are here too: WordNet lists other uses of "just", "well" or "like".
_STOP_WORDS = """
    a an the this that these those such same other another each every either both all any some
    i me my mine myself we us our ours ourselves you your yours yourself yourselves he him his himself she her hers
    herself it its itself they them their theirs themselves one ones oneself who whom whose which what whatever
    whoever whichever someone somebody something anyone anybody anything everyone everybody everything
    and or so if then else because since until till whether than as
    of at by for with about against between among into onto through during before after above below to from up down
    in out on off over under again further toward towards upon within across along around behind beside
    besides beyond inside outside near past per via like amid
    am is are was were be been being have has had having do does did doing done will would shall should can could may
    might must ought need dare used
    aren don doesn didn hadn hasn haven isn wasn weren won wouldn shouldn couldn mustn needn ain let lets
    here there where when why how now once twice thrice ever always often sometimes too very quite rather
    just only even also still almost already more most much many lot enough several
    own away back well maybe perhaps
    zero two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion first
    second third half dozen
"""

# Vulgar and insulting words that WordNet lists as plain synonyms without saying so.
_OFFENSIVE_WORDS = """
    arse ass bastard boob bugger cock coon crap crappy cretin darky dick fuck gook gypsy imbecile moron mulatto piss
    pissed prick pussy queer shit shitty slut sodomite spic squaw tit whore
"""

STOP_WORDS = frozenset(_STOP_WORDS.split()) | NEGATIONS | CONTRASTS
OFFENSIVE_WORDS = frozenset(_OFFENSIVE_WORDS.split())
