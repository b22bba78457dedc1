"""TextAttack's greedy word swap in a random order of the words, with candidates that are given: who is misled."""

import json
import sys
from pathlib import Path

import textattack_setup


def main() -> None:
    data, folder = json.loads(Path(sys.argv[1]).read_text()), sys.argv[2]
    textattack_setup.prepare(data["stop_words"])
    import torch
    from textattack import Attack
    from textattack.attack_results import SuccessfulAttackResult
    from textattack.constraints.pre_transformation import RepeatModification
    from textattack.goal_functions import UntargetedClassification
    from textattack.models.wrappers import ModelWrapper
    from textattack.search_methods import GreedyWordSwapWIR
    from textattack.transformations import WordSwap
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    class Swap(WordSwap):
        def _get_replacement_words(self, word: str) -> list[str]:
            return data["words"].get(word.lower(), [])

    class Classifier(ModelWrapper):
        def __init__(self):
            self.model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
            self.tokenizer = AutoTokenizer.from_pretrained(folder)

        def __call__(self, texts: list[str]) -> torch.Tensor:
            with torch.no_grad():
                return self.model(**self.tokenizer(list(texts), padding=True, return_tensors="pt")).logits

    classifier = Classifier()
    goal = UntargetedClassification(classifier)
    attack = Attack(goal, [RepeatModification()], Swap(), GreedyWordSwapWIR("random"))
    ids = classifier.model.config.label2id
    results = [attack.attack(text, ids[label]) for text, label in data["examples"]]
    print(json.dumps([i for i, result in enumerate(results) if isinstance(result, SuccessfulAttackResult)]))


if __name__ == "__main__":
    main()
