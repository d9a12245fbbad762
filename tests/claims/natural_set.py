"""A small collected set: real English web text, Chinese prose, and rows of random characters."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from set_aside import write_rejected

from burnish.artifacts import DatasetArtifact, Draft
from burnish.data.records import Record, write_kept
from burnish.runtime import Run, Workdir

SLICE = Path(__file__).parents[1] / "data" / "slice.jsonl"
ENGLISH = ("c4", "oscar", "openwebtext", "Abirate/english_quotes")

CHINESE = (
    "央行宣布下调存款准备金率,以释放长期流动性支持实体经济,受访的分析师认为这一步来得比预期早。",
    "公司上半年营业收入同比增长百分之十二,净利润创下历史新高,董事会决定提高全年的分红比例。",
    "该基金第三季度净值增长率为百分之三,跑赢业绩比较基准,基金经理仍然看好消费和医药两个板块。",
    "上市公司应当在年度报告中披露关联交易的金额与定价依据,独立董事应当对此发表明确的意见。",
    "这本小说的情节很吸引人,我一口气读到了深夜,第二天上班的时候差点在地铁上睡过了站。",
    "房间干净整洁,早餐种类也多,服务员很热情,唯一的遗憾是窗户外面正对着一条热闹的马路。",
    "周末我们带孩子去公园划船,天气好极了,湖边的柳树刚刚发芽,到处都是放风筝的人家。",
    "他学了三年钢琴,终于能弹完整首曲子,全家人围坐在客厅里听他演奏,奶奶高兴得直抹眼泪。",
    "这家面馆的汤头很鲜,就是排队太久,老板说骨头汤要熬足八个小时,所以每天只卖两百碗。",
    "山上的桃花开了,游客比往年多了一倍,村里把几间老屋改成了客栈,还修了一条通往山顶的石板路。",
    "这个命令把一个目录下的所有文件复制到另一个目录,如果目标文件已经存在,就会先询问用户是否覆盖。",
    "如果没有给出参数,程序就从标准输入读取数据,遇到文件结束符以后把结果写到标准输出并退出。",
    "老师让我们每天写一页日记,练习观察生活,我写过蚂蚁搬家,也写过楼下修自行车的老爷爷。",
    "手机的屏幕很清楚,可惜电池不太耐用,出门一整天必须带上充电宝,拍照的效果倒是超出了我的想象。",
    "考古队在河岸的台地上发现了一座古代村落的遗址,出土的陶器和石器表明那里曾经有人长期居住。",
    "台风将在明天夜里登陆东南沿海,气象部门提醒渔船尽快回港避风,沿海景区已经全部关闭。",
)


@dataclass(frozen=True)
class Given:
    records: tuple[Record, ...]


def give(out: Workdir, *, config: Given) -> Draft[DatasetArtifact]:
    """Seal given records."""
    write_kept(out, config.records)
    write_rejected(out, [])
    return Draft(DatasetArtifact, (), "records of a test")


def dataset(run: Run, records: Sequence[Record]) -> DatasetArtifact:
    """Make a dataset of records."""
    return run(give, config=Given(tuple(records)))


def collected(run: Run) -> DatasetArtifact:
    """Make what collecting the small sources gives: 20 English documents and 200 headlines, 16 Chinese texts, 20 rows of random text."""
    rows = [json.loads(line) for line in SLICE.read_text(encoding="utf-8").splitlines()]
    english = [row["text"] for row in rows if row.get("type") in ENGLISH]
    english += [row["input"][-1]["content"] for row in rows if "input" in row]
    random = [row["text"] for row in rows if row.get("type", "").startswith("Random")]
    return dataset(
        run,
        [
            *(Record(f"en:{number}", text, None, "en") for number, text in enumerate(english)),
            *(Record(f"zh:{number}", text, None, "zh") for number, text in enumerate(CHINESE)),
            *(Record(f"random:{number}", text, None, "random", "random") for number, text in enumerate(random)),
        ],
    )
