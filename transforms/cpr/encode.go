package cpr

import (
	"strings"

	"github.com/flis-dk/flis/schemas"
)

// encode writes schemas/systems/cpr/person.avsc; a test holds the two together.
func (b *block) encode(f *facts) []byte {
	w := make(avroWriter, 0, 512)
	w.text(b.pnr)
	if b.receipt {
		w.text("kvittering")
	} else {
		w.text("person")
	}
	w.text(string(b.layout))
	w.millis(b.produced)
	w.long(b.ignored)
	w.long(b.annulled)
	w.array(len(f.person), func(i int) { encodePerson(&w, &f.person[i]) })
	w.array(len(f.numbers), func(i int) { encodeNumber(&w, &f.numbers[i]) })
	w.array(len(f.address), func(i int) { encodeAddress(&w, &f.address[i]) })
	w.array(len(f.civil), func(i int) { encodeCivil(&w, &f.civil[i]) })
	w.array(len(f.citizenship), func(i int) {
		c := &f.citizenship[i]
		head(&w, c.period, c.registered)
		w.boolean(c.unsure())
		w.text(c.value(landekod))
	})
	w.array(len(f.spoken), func(i int) {
		w.text(f.spoken[i].kind)
		w.dayOrNull(f.spoken[i].from)
	})
	w.array(len(f.protected), func(i int) {
		p := &f.protected[i]
		head(&w, p.period, p.registered)
		w.text(p.value(beskyttype))
	})
	w.array(len(f.kin), func(i int) {
		k := &f.kin[i]
		head(&w, k.period, k.registered)
		w.boolean(k.unsure())
		w.text(k.kind)
		w.text(k.number)
	})
	w.array(len(f.abroad), func(i int) { encodeAbroad(&w, &f.abroad[i]) })
	w.array(len(f.events), func(i int) { b.encodeEvent(&w, &f.events[i]) })
	return w
}

// head writes what every row of one municipality begins with.
func head(w *avroWriter, p period, registered stamp) {
	w.text(string(p.kommune))
	span(w, p, registered)
}

// span is the time of a row, half-open, and when the register knew it.
func span(w *avroWriter, p period, registered stamp) {
	w.day(p.from)
	w.dayOrNull(p.to)
	w.millis(registered)
}

// The order of each encoder is that of the fields in person.avsc.

func encodePerson(w *avroWriter, p *personRow) {
	head(w, p.period, p.registered)
	w.text(p.status)
	w.boolean(p.derived)
	w.textOrNull(p.sex)
	w.dayOrNull(p.born)
	w.boolean(p.bornUnsure)
	w.textOrNull(p.birthKommune)
}

func encodeNumber(w *avroWriter, n *numberRow) {
	span(w, period{from: n.from, to: schemas.Open}, n.registered)
	w.boolean(n.background)
	w.text(n.old)
	w.text(n.now)
	w.text(n.cause)
}

func encodeAddress(w *avroWriter, a *addressRow) {
	head(w, a.period, a.registered)
	w.boolean(a.unsure())
	w.text(a.value(komkod))
	w.textOrNull(a.value(vejkod))
	for _, v := range []int{husnr, etage, sidedoer, uuid} {
		w.textOrNull(strings.TrimSpace(a.value(v)))
	}
	w.textOrNull(a.postnr)
	w.boolean(digits(a.value(vejkod)) >= 9900)
	w.day(a.row.from)
	w.dayOrNull(a.since)
	w.textOrNull(a.cameOut)
}

func encodeCivil(w *avroWriter, c *civilRow) {
	head(w, c.period, c.registered)
	w.boolean(c.unsure())
	w.text(c.value(civst))
	w.textOrNull(number10(c.value(aegtepnr)))
	w.dayOrNull(c.separated)
}

func encodeAbroad(w *avroWriter, a *abroadRow) {
	head(w, a.period, a.registered)
	w.boolean(a.unsure())
	w.text(a.kind)
	w.textOrNull(country(a.value(outLand)))
	w.textOrNull(country(a.value(inLand)))
}

func (b *block) encodeEvent(w *avroWriter, e *event) {
	w.text(string(e.kommune))
	w.day(e.day)
	w.millis(e.registered)
	w.text(e.kind)
	w.long(int64(e.at.instant()) / 1000)
	w.textOrNull(e.from)
	w.textOrNull(e.to)
	w.textOrNull(e.land)
	age := b.born.age(e.day)
	if age < 0 {
		w.long(0)
		return
	}
	w.long(1)
	w.long(int64(age))
}
