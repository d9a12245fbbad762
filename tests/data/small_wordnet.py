"""A small WordNet in the database's own format, written for a test; its words and senses are the real one's."""

from collections import defaultdict
from pathlib import Path

LICENCE = "  1 This line stands for the licence at the head of each file.  \n"

# part of speech, words of the synset; a lemma's senses come in this order. `*` marks a sense that the tagged corpus had.
SYNSETS = (
    ("noun", "picture* image*"),
    ("noun", "movie* film* picture motion_picture* pic"),
    ("noun", "scientist*"),
    ("noun", "child* kid* youngster*"),
    ("noun", "lawyer* attorney*"),
    ("noun", "apple*"),
    ("noun", "victory* triumph*"),
    ("noun", "buy bargain*"),
    ("noun", "run*"),
    ("noun", "China cathay"),
    ("noun", "china* crockery*"),
    ("noun", "mistake* error*"),
    ("noun", "shop* store*"),
    ("verb", "buy* purchase*"),
    ("verb", "postpone* put_off* defer*"),
    ("verb", "shop*"),
    ("verb", "go* move*"),
    ("adj", "huge* immense* vast*"),
    ("adj", "nice* good"),
    ("adv", "rapidly* quickly*"),
    ("adv", "completely* all_over*"),
)


def write_wordnet(folder: Path) -> Path:
    """Write index and data files with true byte offsets."""
    folder.mkdir(parents=True)
    offsets: dict[tuple[str, str], list[tuple[int, bool]]] = defaultdict(list)
    for pos in ("noun", "verb", "adj", "adv"):
        data = LICENCE
        for kind, words in SYNSETS:
            if kind != pos:
                continue
            names = [word.removesuffix("*") for word in words.split()]
            for name, word in zip(names, words.split(), strict=True):
                offsets[pos, name.lower()].append((len(data), word.endswith("*")))
            listed = "".join(f"{name} 0 " for name in names)
            data += f"{len(data):08} 03 {pos[0]} {len(names):02x} {listed}000 | a gloss  \n"
        (folder / f"data.{pos}").write_text(data)
        lines = [
            f"{lemma} {pos[0]} {len(found)} 2 @ ~ {len(found)} {sum(t for _, t in found)} "
            + "".join(f"{offset:08} " for offset, _ in found)
            + " \n"
            for (kind, lemma), found in offsets.items()
            if kind == pos
        ]
        (folder / f"index.{pos}").write_text(LICENCE + "".join(sorted(lines)))
    return folder


CHINESE = (
    "Bn01A01= 房间 屋子 室",
    "Dd01A01= 性质 性能",
    "Dn01A01= 早餐 早饭 晚上",
    "Ka01A01= 价格 价钱",
    "Kb01A01= 东西 家伙",
    "Kb02A01= 东西 物品",
    "Kc01A01# 星期一 星期二",
    "Kd01A01@ 电脑",
    "Ke01A01= 高兴 快乐",
    "Kf01A01= 上海 申城",
)


def write_chinese(path: Path) -> Path:
    """Write synonym sets."""
    path.write_text("\n".join(CHINESE), encoding="utf-8")
    return path
