"""How many lives the engine gets right, by act and by damage.

python -m tests.core.lives --count 1000 --seed 1 [--act undo] [--damage lost] [--list] [--show SEED]
"""

from __future__ import annotations

import argparse
import time
from collections import Counter

from . import DAMAGES, STORIES, life, play, truth
from .left import Left
from .trial import tried
from .write_out import describe


def table(title: str, right: Counter[str], count: Counter[str]) -> None:
    """Right of count, worst first."""
    print(f"\n{title:44s} right   of")
    for name in sorted(count, key=lambda name: (right[name] / count[name], name)):
        print(f"  {name:42s} {right[name]:5d} {count[name]:5d}  {100 * right[name] / count[name]:5.1f} %")


def main() -> int:
    """Runs them; exit status 0 only if all are right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--act", default="", choices=("", *STORIES))
    parser.add_argument("--damage", default="", choices=("", *DAMAGES))
    parser.add_argument("--list", action="store_true", help="every life that came out wrong")
    parser.add_argument("--pairs", action="store_true", help="by act and damage together, too")
    parser.add_argument("--show", type=int, metavar="SEED", help="all copies of one life, and what is right for it")
    args = parser.parse_args()
    if args.show is not None:
        left: Left = play(life(args.show, args.act, args.damage))
        print(describe(left, truth(left)))
        return 0
    start, reasons = time.monotonic(), Counter[str]()
    right, count = [Counter[str]() for _ in range(4)], [Counter[str]() for _ in range(4)]
    for each, wanted, wrong in tried(range(args.seed, args.seed + args.count), args.act, args.damage):
        names = (each.act, each.damage_name, f"{wanted.want}: {wanted.why}", f"{each.act} x {each.damage_name}")
        for k, name in enumerate(names):
            count[k][name] += 1
            right[k][name] += not wrong.first
        if wrong.first:
            reasons[wrong.first.split(" (")[0].translate(dict.fromkeys(map(ord, "0123456789"), "n"))] += 1
        if wrong.first and args.list:
            print(f"{each.seed}  {each.era.name}  {each.act} x {each.damage_name}  {wanted.want}  {wrong.first}")
    for k, title in enumerate(("act", "damage", "wanted", "act and damage")[: 4 if args.pairs else 3]):
        table(title, right[k], count[k])
    print("\nwhat was wrong")
    for reason, n in reasons.most_common(20):
        print(f"  {n:5d}  {reason[:110]}")
    total = sum(right[0].values())
    each_ms = (time.monotonic() - start) / max(args.count, 1) * 1000
    print(f"\nright {total} of {args.count}, {100 * total / max(args.count, 1):.1f} %; {each_ms:.0f} ms each")
    return 0 if total == args.count else 1


if __name__ == "__main__":
    raise SystemExit(main())
