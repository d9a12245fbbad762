"""Packaged graphs: read from files in their packages' own formats, small ones written here."""

import bz2
import pickle
from pathlib import Path

import pytest

from burnish.data.graphs.graph_packaged import read_drugs, read_icd_10_cm, read_wordnet
from burnish.errors import ArtifactError

LICENCE = "  1 This line stands for the licence.  \n"
# Lines of the real data.noun, shortened: offset, file, type, words, pointers | gloss; examples.
DATA = (
    "00000001 05 n 02 dog 0 domestic_dog 0 001 @ 00000003 n 0000 | a member of the genus Canis; "
    '"the dog barked all night"  \n'
    '00000002 18 n 01 dog 0 001 @ 00000004 n 0000 | informal term for a man; "you lucky dog"  \n'
    "00000003 05 n 01 canine 0 000 | any of various fissiped mammals  \n"
    '00000004 18 n 01 chap 0 000 | a boy or man; "that chap is your host"  \n'
    "00000005 15 n 01 Fido 0 002 @i 00000001 n 0000 + 00000009 v 0101 | a famous dog  \n"
)
INDEX = (
    "dog n 2 1 @ 2 1 00000001 00000002  \ndomestic_dog n 1 1 @ 1 0 00000001  \ncanine n 1 0 1 0 00000003  \n"
    "chap n 1 0 1 0 00000004  \nfido n 1 1 @i 1 0 00000005  \n"
)
ICD = """<ICD10CM.tabular><chapter><name>4</name><desc>Endocrine diseases (E00-E89)</desc>
<section id="E08-E13"><desc>Diabetes mellitus (E08-E13)</desc>
<diag><name>E11</name><desc>Type 2 diabetes mellitus</desc>
<inclusionTerm><note>non-insulin dependent diabetes</note></inclusionTerm>
<diag><name>E11.9</name><desc>Type 2 diabetes mellitus without complications</desc></diag></diag>
</section></chapter></ICD10CM.tabular>"""


def test_wordnet_has_senses_with_priors_and_no_examples(tmp_path: Path) -> None:
    (tmp_path / "data.noun").write_text(LICENCE + DATA)
    (tmp_path / "index.noun").write_text(LICENCE + INDEX)
    graph = read_wordnet(tmp_path)
    assert graph.entities["00000001"].names == {"en": ("dog", "domestic dog")}
    assert graph.entities["00000002"].description == "informal term for a man"
    assert (graph.priors["dog", "00000001"], graph.priors["dog", "00000002"]) == (1.0, 0.5)
    assert {graph.say(fact, "en") for fact in graph.facts if fact.relation != "means"} == {
        "dog is a kind of canine.",
        "dog is a kind of chap.",
        "Fido is an example of a dog.",
    }
    assert not any("barked" in graph.say(fact, "en") for fact in graph.facts)


def test_drugs_have_classes_other_names_and_formulas(tmp_path: Path) -> None:
    tables = {
        "drug_variant_to_canonical": {
            "advil": ["ibuprofen"],
            "ibuprofen": ["ibuprofen"],
            "acids, phenylpropionic": ["phenylpropionic acid"],
            "orphan": ["nothing"],
        },
        "drug_canonical_to_data": {
            "ibuprofen": {"name": "Ibuprofen", "mesh_tree": ["D02.241.701.430"], "formula": "C13H18O2"},
            "phenylpropionic acid": {"name": "Phenylpropionic Acid", "mesh_tree": ["D02.241.701"]},
        },
        "drug_variant_to_variant_data": {},
    }
    path = tmp_path / "drugs.pkl.bz2"
    path.write_bytes(bz2.compress(pickle.dumps(tables)))
    graph = read_drugs(path)
    assert {graph.say(fact, "en") for fact in graph.facts} == {
        "Advil is another name for Ibuprofen.",
        "Ibuprofen is a kind of Phenylpropionic Acid.",
        "The molecular formula of Ibuprofen is C13H18O2.",
    }
    assert "acids, phenylpropionic" in graph.entities["phenylpropionic acid"].all_names()  # a name, but no news
    assert graph.entities["ibuprofen"].kind == "D02"


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "drugs.pkl.bz2"
    path.write_bytes(bz2.compress(pickle.dumps(Path("/"))))
    with pytest.raises(ArtifactError, match=r"is not the drug dictionary \(it asks for pathlib"):
        read_drugs(path)
    path.write_bytes(b"no bz2")
    with pytest.raises(ArtifactError, match="is not the drug dictionary"):
        read_drugs(path)


def test_icd_is_a_tree_with_codes_and_other_terms(tmp_path: Path) -> None:
    (tmp_path / "icd10c-tabular.xml").write_text(ICD)
    graph = read_icd_10_cm(tmp_path)
    assert {graph.say(fact, "en") for fact in graph.facts} == {
        "Diabetes mellitus belongs to Endocrine diseases.",
        "Type 2 diabetes mellitus belongs to Diabetes mellitus.",
        "Type 2 diabetes mellitus without complications belongs to Type 2 diabetes mellitus.",
        "The ICD-10-CM code of Type 2 diabetes mellitus is E11.",
        "The ICD-10-CM code of Type 2 diabetes mellitus without complications is E11.9.",
    }
    assert "non-insulin dependent diabetes" in graph.entities["E11"].all_names()
    with pytest.raises(ArtifactError, match="is not the tabular list"):
        read_icd_10_cm(tmp_path / "nothing")


def test_a_folder_without_wordnet_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"does not hold WordNet's index\.noun and data\.noun"):
        read_wordnet(tmp_path)
