"""
Penn tags of the words of texts, by NLTK's tagger: a JSON list of texts in, lists of tags out.

It runs in nlpaug's environment, where the weights of the tagger are.
"""

import json
import re
import sys
from pathlib import Path


sys.path.append(str(Path(__file__).parents[1] / "peers"))

from nlpaug_wordnet import load_tagger


def main() -> None:
    tagger = load_tagger()
    tags = []
    for text in json.load(sys.stdin):
        tagged = tagger.tag(re.findall(r"\w+|[^\w\s]", text))
        tags.append([tag for word, tag in tagged if re.match(r"\w", word)])
    json.dump(tags, sys.stdout)


if __name__ == "__main__":
    main()
