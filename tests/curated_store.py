"""A small real data run: Chinese and English records with every kind of fault, through the real stages, in a store."""

import json
from pathlib import Path

from burnish.cli.main import burnish, exit_code

ENGLISH = (
    "The central bank lowered its reserve ratio on Friday, and traders in the city expected a calmer week ahead.",
    "Farmers in the northern valley say that the river has never been so low this early in the summer.",
    "A new library opened near the harbour, with reading rooms that look out over the ships and the old cranes.",
    "Engineers found a crack in the second turbine, so the plant will run at half of its power until spring.",
    "She studied the migration of small birds for ten years before anyone else took an interest in her maps.",
    "The committee will publish its report after the holidays, although several members have already left it.",
    "Bread prices rose again in every town along the coast, while the cost of transport stayed about the same.",
    "Volunteers planted four thousand trees on the hill where the fire had burned two summers ago.",
)
CHINESE = (
    "中国银行上海分行昨日公布了上半年的财务报告，净利润比去年同期增长了百分之八，不良贷款率继续下降。",
    "研究人员在云南的山区发现了一种新的兰花，它只在海拔两千米以上的潮湿岩石上生长，花期不到十天。",
    "市政府计划在老城区修建三条新的步行街，让居民可以从车站一直走到河边，沿途保留原来的店铺和树木。",
    "这座桥建于一百多年前，石料是用船从上游运来的，工匠们没有使用一颗铁钉，却让它经受住了多次洪水。",
    "气象台预计本周末将有一次明显的降温过程，北部地区夜间最低气温可能降到零下，请市民注意防寒保暖。",
)
LONG = " ".join(ENGLISH[:6])
EVIL = (
    "</script></style><script>alert('x')</script> & <img src=https://example.com/x.png onerror=alert(1)> is what a "
    "stranger wrote here, and then \\ud800 he went on about nothing in particular until the page came to its end."
)
EMAIL, MOBILE = "li.wei@example.com", "13800138000"
PERSONAL = f"请联系李伟先生了解详情，电子邮件是 {EMAIL}，手机号码是 {MOBILE}，工作日上午九点到下午五点可以接听。"
MOJIBAKE = "The waiter brought cafÃ© au lait and a crÃªpe, and nobody at the table said a word about the dÃ©cor."

RECORDS = {
    **{f"en{n}": text for n, text in enumerate(ENGLISH)},
    **{f"zh{n}": text for n, text in enumerate(CHINESE)},
    "long": LONG,
    "near": LONG.replace("Friday", "Monday"),
    "same": ENGLISH[0],
    "case": ENGLISH[1].replace("Farmers", "FARMERS"),
    "zhsame": CHINESE[0],
    "short": "too short",
    "zhshort": "太短",
    "german": "Die Bauern im nördlichen Tal sagen, dass der Fluss noch nie so früh im Sommer so niedrig stand wie jetzt.",
    "greek": "Οι μηχανικοί βρήκαν μια ρωγμή στη δεύτερη τουρμπίνα και το εργοστάσιο θα λειτουργεί με μισή ισχύ.",
    "mojibake": MOJIBAKE,
    "personal": PERSONAL,
    "evil": EVIL,
    "bidi": f"{ENGLISH[2]} \u202eesrever ni si siht\u202c and it ends here.",
}
BROKEN = ('{"id": "torn"', json.dumps({"id": "empty", "text": "", "note": f"write to {EMAIL}"}))


def write_recipe(folder: Path, **records: str) -> Path:
    """Write a recipe and its source; `records` are added."""
    lines = [
        json.dumps({"id": i, "text": t, "url": f"https://example.org/{i}"}) for i, t in {**RECORDS, **records}.items()
    ]
    (folder / "raw.jsonl").write_text("\n".join([*lines, *BROKEN]) + "\n", encoding="utf-8")
    recipe = folder / "mixed.yaml"
    recipe.write_text(
        "collect:\n  sources:\n    - kind: files\n"
        f"      path: {folder / 'raw.jsonl'}\n      id_key: id\n      keep_meta: true\n"
        "select:\n  min_words: 6\n  min_language_score: 0.3\n  engine: {kind: local, workers: 1}\n"
        "clean:\n  engine: {kind: local, workers: 1}\n"
        "report:\n  title: 中英文 & <mixed>\n",
        encoding="utf-8",
    )
    return recipe


def curate(folder: Path, *overrides: str, **records: str) -> Path:
    """Run the recipe as a user types it; give the store."""
    store = folder / "store"
    assert type_command("data", "run", write_recipe(folder, **records), *overrides, "--plain", "--store", store) == 0
    return store


def type_command(*arguments: object) -> int:
    """Type a command."""
    typed = [str(argument) for argument in arguments]
    return exit_code(lambda: burnish.main(typed, prog_name="burnish", standalone_mode=False))
