#!/bin/sh
# The worker is answered what it was granted, and refused everything else.
set -eu
out=$("$1")
want='CH 500 g: 750 cents
DE 1000 g: 1000 cents
FR 500 g: refused: quote "FR": not in limits.countries
CH 5000 g: refused: quote "5000": not in limits.heaviest_grams
asked for wider limits
FR 500 g: refused: quote "FR": not in limits.countries
CH 100 g: 710 cents
CH 100 g: refused: quote: budget.quotes_per_minute is used up'
test "$out" = "$want" || { echo "printed: $out"; exit 1; }
