-- The fold as SQL: from the rows of the journals to the rows of every delivered table, current and history, for every
-- certificate of every unit. docs/fold.md says what it proves and how to run it.
--
-- It runs in DuckDB 1.5 and in Spark SQL 4: statements end with ";" at a line's end, each makes one view.
--   DuckDB: as it stands, with "create macro get_json_object(a, b) as json_extract_string(a, b)" before it.
--   Spark:  as it stands. (.ci/fold/run_fold.py turns "view" into "table", to make a step once; nothing else is replaced.)
--
-- What must be there (.ci/fold/run_fold.py makes it; no step of the fold is in it):
--   journal      every row of every journal/<system>, the columns of decision 0002, and
--                indgang    number of the entry that brought the row: of a compacted file the column, else the file's tag indgange
--                indhold    the payload, decoded from Avro to JSON: {"column": "text of the value" or null ...} in the order of the
--                           schema; null where the payload is null
--   beviser      enhed ('0101/borger'), kommune, omraade, nr, leverance, national (number of the national certificate, or null)
--   positioner   enhed, nr, kilde_system, indgang: newest entry that certificate nr of the unit has read
--   aftaler      enhed, nr, kilde_system, datasaet ('' = all that the system feeds), fra, til, historik_fra
--   datasaet     datasaet ('borger.adresse'), omraade, slags ('tilstand' or 'haendelse')

-- 1. What the journal says. ------------------------------------------------------------------------------------------
-- A record speaks of groups: of keys, and with snapshots of scopes, counted apart. "tilbagekaldt" says only that a later generation
-- of the record no longer speaks of the group. All others that count are statements.
create or replace temp view talt as
select j.*, case when operation = 'snapshot' or (operation = 'tilbagekaldt' and fravaer <> '') then concat('omfang ', omfang)
  else concat('noegle ', noegle) end as gruppe
from journal j
where loebenr > 0 and (operation = 'tilbagekaldt'
  or (udfald not in ('parkeret', 'ignoreret') and operation in ('upsert', 'replace', 'delete', 'snapshot')));

-- afloest: the entry from which on a row is not counted: in its group a higher generation of its event (same id, same value) stands in
-- its place, or its event is said again in the same generation, and the first of the copies, by order key, is another.
create or replace temp view poster as
select p.*, row_number() over (partition by kilde_system, haendelse_id, aftryk, kommunekode, datasaet, gruppe, generation
  order by udsagt, sekvens, stroem, stroem_offset) as plads
from (
  select distinct stroem, stroem_offset, generation, indgang, kilde_system, haendelse_id, aftryk, kommunekode, datasaet, gruppe, udsagt, sekvens
  from talt
) p;

create or replace temp view afloesning as
select p.stroem, p.stroem_offset, p.generation, p.kommunekode, p.datasaet, p.gruppe, min(n.indgang) as afloest
from poster p join poster n on n.kilde_system = p.kilde_system and n.haendelse_id = p.haendelse_id and n.aftryk = p.aftryk
  and n.kommunekode = p.kommunekode and n.datasaet = p.datasaet and n.gruppe = p.gruppe
where n.generation > p.generation or (n.generation = p.generation and n.plads < p.plads)
group by p.stroem, p.stroem_offset, p.generation, p.kommunekode, p.datasaet, p.gruppe;

-- rang: the order key: time of the statement, the source's sequence (else the offset), ordinal; where these tie, stream and offset.
create or replace temp view haendelser as
select h.*, row_number() over (order by udsagt, sekvens, loebenr, stroem, stroem_offset, generation) as rang
from (
  select j.indgang, j.stroem, j.stroem_offset, j.loebenr, j.generation, j.kilde_system, j.haendelse_id, j.leverance, j.kommunekode,
    j.datasaet, d.omraade, d.slags, j.noegle, j.omfang, j.operation, j.gyldig_fra, j.kilde_registreret, j.udsagt, j.sekvens,
    j.oejebliksbillede, j.antal, j.indhold, j.baggrund,
    -- led: what is one statement: a record, or all records of a snapshot over several
    case when j.oejebliksbillede <> '' then concat('b ', j.omfang, ' ', j.oejebliksbillede)
      else concat('p ', j.stroem, '#', cast(j.stroem_offset as string)) end as led,
    coalesce(j.gyldig_fra, date '0001-01-01') as fra, coalesce(j.gyldig_til, date '9999-12-31') as til,
    a.afloest
  from talt j join datasaet d on d.datasaet = j.datasaet
  left join afloesning a on a.stroem = j.stroem and a.stroem_offset = j.stroem_offset and a.generation = j.generation
    and a.kommunekode = j.kommunekode and a.datasaet = j.datasaet and a.gruppe = j.gruppe
  where j.operation <> 'tilbagekaldt'
) h;

-- 2. What a certificate has read of it. ------------------------------------------------------------------------------
-- Own rows up to the unit's own positions; rows of no municipality ('0000') up to those of the national certificate that it pins.
create or replace temp view laest as
select b.enhed, b.nr, b.kommune, b.omraade, b.kommune as hvis, p.kilde_system, p.indgang
from beviser b join positioner p on p.enhed = b.enhed and p.nr = b.nr
where b.kommune <> '0000'
union all
select b.enhed, b.nr, b.kommune, b.omraade, '0000' as hvis, p.kilde_system, p.indgang
from beviser b join positioner p on p.enhed = concat('0000/', b.omraade) and p.nr = b.national
where b.kommune <> '0000';

-- Statements of keys. A replace says nothing of all time, and what it carries besides. What says nothing has vaerdi null.
-- vaerdi is what is compared: the columns; for a fact also its date, which need not be among them.
create or replace temp view udsagn_egne as
select l.enhed, l.nr, h.datasaet, h.slags, h.noegle, h.kilde_system, h.omfang, h.rang, h.led, h.baggrund,
  case when h.operation = 'delete' then null
    when h.slags = 'haendelse' then concat(h.indhold, '@', cast(h.gyldig_fra as string)) else h.indhold end as vaerdi,
  case when h.operation = 'delete' then null else h.indhold end as indhold,
  h.fra, h.til, h.kilde_registreret, h.leverance, h.haendelse_id
from haendelser h
join laest l on l.hvis = h.kommunekode and l.omraade = h.omraade and l.kilde_system = h.kilde_system and h.indgang <= l.indgang
where (h.afloest is null or h.afloest > l.indgang) and h.kommunekode <> '0000'
  and (h.operation in ('upsert', 'delete') or (h.operation = 'replace' and h.indhold is not null))
union all
select l.enhed, l.nr, h.datasaet, h.slags, h.noegle, h.kilde_system, h.omfang, h.rang, h.led, h.baggrund, null, null,
  date '0001-01-01', date '9999-12-31', h.kilde_registreret, h.leverance, h.haendelse_id
from haendelser h
join laest l on l.hvis = h.kommunekode and l.omraade = h.omraade and l.kilde_system = h.kilde_system and h.indgang <= l.indgang
where (h.afloest is null or h.afloest > l.indgang) and h.kommunekode <> '0000' and h.operation = 'replace' and h.indhold is null;

-- Statements of no municipality, brought to those that may hold them: personnummer, whole, to every holder of either number.
-- Here to all that were ever told of a person of either; step 7 keeps the holders.
create or replace temp view udsagn as
select * from udsagn_egne
union all
select distinct l.enhed, l.nr, h.datasaet, h.slags, h.noegle, h.kilde_system, h.omfang, h.rang, h.led, h.baggrund,
  case when h.operation = 'delete' then null else h.indhold end, case when h.operation = 'delete' then null else h.indhold end,
  h.fra, h.til, h.kilde_registreret, h.leverance, h.haendelse_id
from haendelser h
join laest l on l.hvis = '0000' and l.omraade = h.omraade and l.kilde_system = h.kilde_system and h.indgang <= l.indgang
join (select distinct enhed, nr, noegle as cpr from udsagn_egne where datasaet = 'borger.person' and vaerdi is not null) a
  on a.enhed = l.enhed and a.nr = l.nr
  and (a.cpr = h.noegle or a.cpr = get_json_object(h.indhold, '$.aktuelt_cpr'))
where (h.afloest is null or h.afloest > l.indgang) and h.kommunekode = '0000' and h.datasaet = 'borger.personnummer'
  and h.operation in ('upsert', 'delete');

-- 3. Snapshots. ------------------------------------------------------------------------------------------------------
-- A snapshot takes back, from its day on (no day: of all time), what was said before it of its scope, by its system. One over several
-- records does so only when as many of them as it counts have landed, and speaks from the first of them on: so its members come after it.
create or replace temp view landede as
select l.enhed, l.nr, l.hvis, h.datasaet, h.kilde_system, h.omfang, h.oejebliksbillede, count(distinct h.haendelse_id) as landet
from haendelser h
join laest l on l.hvis = h.kommunekode and l.omraade = h.omraade and l.kilde_system = h.kilde_system and h.indgang <= l.indgang
where h.oejebliksbillede <> '' -- what has landed has landed, in whatever generation
group by l.enhed, l.nr, l.hvis, h.datasaet, h.kilde_system, h.omfang, h.oejebliksbillede;

create or replace temp view billeder as
select * from (
  select l.enhed, l.nr, h.datasaet, h.kilde_system, h.omfang, h.oejebliksbillede, h.rang, h.led, h.fra, h.til,
    h.kilde_registreret, h.leverance, h.haendelse_id,
    row_number() over (partition by l.enhed, l.nr, h.datasaet, h.kilde_system, h.omfang, h.led order by h.rang) as plads
  from haendelser h
  join laest l on l.hvis = h.kommunekode and l.omraade = h.omraade and l.kilde_system = h.kilde_system and h.indgang <= l.indgang
  join (select distinct enhed, nr, datasaet, kilde_system, omfang from udsagn where omfang <> '') o
    on o.enhed = l.enhed and o.nr = l.nr and o.datasaet = h.datasaet and o.kilde_system = h.kilde_system and o.omfang = h.omfang
  left join landede m on m.enhed = l.enhed and m.nr = l.nr and m.hvis = l.hvis and m.datasaet = h.datasaet
    and m.kilde_system = h.kilde_system and m.omfang = h.omfang and m.oejebliksbillede = h.oejebliksbillede
  where (h.afloest is null or h.afloest > l.indgang) and h.operation = 'snapshot'
    and (h.oejebliksbillede = '' or h.antal <= coalesce(m.landet, 0))
) b where oejebliksbillede = '' or plads = 1;

create or replace temp view udsagn_alle as
select u.*, false as drab from udsagn u
union all
select m.enhed, m.nr, m.datasaet, m.slags, m.noegle, m.kilde_system, m.omfang, b.rang, b.led, false, null, null,
  b.fra, b.til, b.kilde_registreret, b.leverance, b.haendelse_id, true
from (select distinct enhed, nr, datasaet, slags, noegle, kilde_system, omfang from udsagn where omfang <> '') m
join billeder b on b.enhed = m.enhed and b.nr = m.nr and b.datasaet = m.datasaet and b.kilde_system = m.kilde_system
  and b.omfang = m.omfang;

-- 4. Agreements clip by valid time. ----------------------------------------------------------------------------------
-- State: the segment is cut to what the system owns. Fact: on the key alone (here: one segment of all time); a date that the system
-- does not own is not delivered, and takes back what the system had said of the key.
create or replace temp view klippet as
select u.enhed, u.nr, u.datasaet, u.slags, u.noegle, u.kilde_system, u.omfang, u.rang, u.led, u.baggrund, u.drab,
  u.vaerdi, u.indhold, greatest(u.fra, coalesce(a.fra, u.fra)) as fra, least(u.til, coalesce(a.til, u.til)) as til,
  u.fra as dato, u.kilde_registreret, u.leverance, u.haendelse_id, a.historik_fra
from udsagn_alle u
join aftaler a on a.enhed = u.enhed and a.nr = u.nr and a.kilde_system = u.kilde_system and a.datasaet in ('', u.datasaet)
where u.slags = 'tilstand'
  and greatest(u.fra, coalesce(a.fra, u.fra)) < least(u.til, coalesce(a.til, u.til))
union all
select u.enhed, u.nr, u.datasaet, u.slags, u.noegle, u.kilde_system, u.omfang, u.rang, u.led, u.baggrund, u.drab,
  case when e.ejes then u.vaerdi end, case when e.ejes then u.indhold end, date '0001-01-01', date '9999-12-31',
  u.fra, u.kilde_registreret, u.leverance, u.haendelse_id, e.historik_fra
from udsagn_alle u
join (
  select u.enhed, u.nr, u.kilde_system, u.datasaet, u.fra,
    max(a.historik_fra) as historik_fra,
    bool_or(u.fra >= coalesce(a.fra, u.fra) and (a.til is null or u.fra < a.til)) as ejes
  from (select distinct enhed, nr, kilde_system, datasaet, fra from udsagn_alle where slags = 'haendelse') u
  join aftaler a on a.enhed = u.enhed and a.nr = u.nr and a.kilde_system = u.kilde_system and a.datasaet in ('', u.datasaet)
  group by u.enhed, u.nr, u.kilde_system, u.datasaet, u.fra
) e on e.enhed = u.enhed and e.nr = u.nr and e.kilde_system = u.kilde_system and e.datasaet = u.datasaet and e.fra = u.fra
where u.slags = 'haendelse';

-- 5. At each instant of a key, who wins. -----------------------------------------------------------------------------
-- Between two neighbouring bounds of a key everything is the same: there each statement covers the stretch whole or not at all.
create or replace temp view straekninger as
select * from (
  select enhed, nr, datasaet, noegle, dag as fra, lead(dag) over (partition by enhed, nr, datasaet, noegle order by dag) as til
  from (
    select enhed, nr, datasaet, noegle, fra as dag from klippet
    union
    select enhed, nr, datasaet, noegle, til as dag from klippet
  ) g
) s where til is not null;

-- virker: from which statement on a row has effect. The nothing of a snapshot or replace whose own record says more of the stretch
-- has effect with the first of that.
create or replace temp view daekning as
select d.*, coalesce(case when vaerdi is null then min(case when vaerdi is not null then rang end)
  over (partition by enhed, nr, datasaet, noegle, sfra, led order by rang rows between 1 following and unbounded following) end, rang) as virker
from (
  select k.enhed, k.nr, k.datasaet, k.noegle, k.kilde_system, k.omfang, k.rang, k.led, k.drab, k.vaerdi, k.indhold,
    -- what a proper replace carries in the background is proper there, and a replace in the background says nothing but around what it carries
    k.baggrund and not coalesce(max(case when k.vaerdi is null and not k.drab and not k.baggrund then 1 end)
      over (partition by k.enhed, k.nr, k.datasaet, k.noegle, s.fra, k.led) = 1, false) as baggrund,
    k.vaerdi is null and not k.drab and k.baggrund and max(case when k.vaerdi is not null then 1 end)
      over (partition by k.enhed, k.nr, k.datasaet, k.noegle, s.fra, k.led) = 1 as udenom,
    s.fra as sfra, s.til as stil
  from klippet k join straekninger s on s.enhed = k.enhed and s.nr = k.nr and s.datasaet = k.datasaet and s.noegle = k.noegle
    and k.fra <= s.fra and k.til >= s.til
) d where not coalesce(udenom, false);

-- taget: the statement on which it is taken back, by a snapshot of its scope.
create or replace temp view levetid as
select d.*, min(case when drab then virker end) over (partition by enhed, nr, datasaet, noegle, sfra, kilde_system, omfang
  order by rang rows between 1 following and unbounded following) as taget
from daekning d;

-- What holds after each statement and each snapshot: the greatest order key; background only where nothing else is said, and then the least.
create or replace temp view holdt as
select * from (
  select t.enhed, t.nr, t.datasaet, t.noegle, t.sfra, t.stil, t.trin, u.rang, u.vaerdi, u.indhold, row_number() over (
    partition by t.enhed, t.nr, t.datasaet, t.noegle, t.sfra, t.trin
    order by case when u.baggrund then 1 else 0 end, case when u.baggrund then u.rang else -u.rang end) as plads
  from (select distinct enhed, nr, datasaet, noegle, sfra, stil, virker as trin from daekning) t
  left join levetid u on u.enhed = t.enhed and u.nr = t.nr and u.datasaet = t.datasaet and u.noegle = t.noegle and u.sfra = t.sfra
    and not u.drab and u.virker <= t.trin and (u.taget is null or u.taget > t.trin)
) p where plads = 1;

-- What is merely said again changes nothing: as long as what holds is equal, it is of who began it; and what was hidden and holds again is of
-- whom it was.
create or replace temp view loeb as
select r.*, first_value(rang) over (partition by enhed, nr, datasaet, noegle, sfra, loeb_nr order by trin rows unbounded preceding) as begynder,
  row_number() over (partition by enhed, nr, datasaet, noegle, sfra, rang order by trin) as gang, row_number() over (partition by enhed, nr, datasaet, noegle, sfra order by trin desc) as sidst
from (
  select l.*, sum(brud) over (partition by enhed, nr, datasaet, noegle, sfra order by trin rows unbounded preceding) as loeb_nr
  from (
    select d.*, case when vaerdi is not distinct from lag(vaerdi) over (partition by enhed, nr, datasaet, noegle, sfra order by trin)
      and lag(trin) over (partition by enhed, nr, datasaet, noegle, sfra order by trin) is not null then 0 else 1 end as brud
    from holdt d
  ) l
) r;

-- Three times back are enough: each is a return to what held before the one that is returned to first held.
create or replace temp view ophav as
select enhed, nr, datasaet, noegle, sfra, rang, begynder from loeb where gang = 1 and vaerdi is not null;

create or replace temp view foerste as
select w.enhed, w.nr, w.datasaet, w.noegle, w.sfra, w.stil, w.vaerdi, w.indhold, c.begynder as rang
from loeb w
join ophav a on a.enhed = w.enhed and a.nr = w.nr and a.datasaet = w.datasaet and a.noegle = w.noegle and a.sfra = w.sfra and a.rang = w.begynder
join ophav b on b.enhed = w.enhed and b.nr = w.nr and b.datasaet = w.datasaet and b.noegle = w.noegle and b.sfra = w.sfra and b.rang = a.begynder
join ophav c on c.enhed = w.enhed and c.nr = w.nr and c.datasaet = w.datasaet and c.noegle = w.noegle and c.sfra = w.sfra and c.rang = b.begynder
where w.sidst = 1 and w.vaerdi is not null;

-- 6. Adjoining stretches of equal content are one row, with what is known of the first in valid time. ------------------
create or replace temp view segmenter as
select enhed, nr, datasaet, noegle, oe, vaerdi, indhold, min(sfra) as fra, max(stil) as til, min(case when plads = 1 then rang end) as rang
from (
  select s.*, row_number() over (partition by enhed, nr, datasaet, noegle, oe order by sfra) as plads from (
    select b.*, sum(brud) over (partition by enhed, nr, datasaet, noegle order by sfra rows unbounded preceding) as oe from (
      select f.*, case when lag(stil) over (partition by enhed, nr, datasaet, noegle order by sfra) = sfra
        and lag(vaerdi) over (partition by enhed, nr, datasaet, noegle order by sfra) = vaerdi
        and lag(kilde_system) over (partition by enhed, nr, datasaet, noegle order by sfra) = kilde_system then 0 else 1 end as brud
      from (select f.*, h.kilde_system from foerste f join haendelser h on h.rang = f.rang) f
    ) b
  ) s
) o group by enhed, nr, datasaet, noegle, oe, vaerdi, indhold;

-- 7. The rows of a certificate. --------------------------------------------------------------------------------------
-- Bounds that are open are null; a fact has its date and no end. Rows that ended before historik_fra are left out (facts: by date).
create or replace temp view bevis_raekker_alle as
select s.enhed, s.nr, s.datasaet, s.noegle, s.indhold,
  case when h.slags = 'haendelse' then h.gyldig_fra when s.fra = date '0001-01-01' then date '1800-01-01' else s.fra end as gyldig_fra,
  case when h.slags = 'haendelse' or s.til = date '9999-12-31' then null else s.til end as gyldig_til,
  h.kilde_registreret, h.kilde_system, h.leverance, h.haendelse_id
from segmenter s join haendelser h on h.rang = s.rang
left join (select enhed, nr, kilde_system, datasaet, max(historik_fra) as historik_fra from aftaler
    group by enhed, nr, kilde_system, datasaet) a
  on a.enhed = s.enhed and a.nr = s.nr and a.kilde_system = h.kilde_system and a.datasaet in ('', s.datasaet)
where a.historik_fra is null
  or (h.slags = 'tilstand' and s.til > a.historik_fra) or (h.slags = 'haendelse' and h.gyldig_fra >= a.historik_fra);

-- personnummer: only where the unit holds a person of either number.
create or replace temp view bevis_raekker as
select r.* from bevis_raekker_alle r where r.datasaet <> 'borger.personnummer'
union all
select r.* from bevis_raekker_alle r where r.datasaet = 'borger.personnummer' and exists (
  select 1 from bevis_raekker_alle a where a.enhed = r.enhed and a.nr = r.nr and a.datasaet = 'borger.person'
    and (a.noegle = r.noegle or a.noegle = get_json_object(r.indhold, '$.aktuelt_cpr')));

-- 8. When we knew it. ------------------------------------------------------------------------------------------------
-- A row that stands in certificates n..m without a break was known from n's delivery until m+1's. Who stands in the newest is in
-- the current table; the others are history, but for those whose begin and end are in one delivery.
create or replace temp view raekker as
select t.*, f.leverance as registreret_fra, e.leverance as registreret_til,
  case when e.leverance is null then 'nu' else 'historik' end as tabel
from (
  select enhed, datasaet, noegle, indhold, gyldig_fra, gyldig_til, kilde_registreret, kilde_system, leverance, haendelse_id,
    min(nr) as fra_nr, max(nr) as til_nr
  from (
    select r.*, nr - row_number() over (
      partition by enhed, datasaet, noegle, indhold, gyldig_fra, gyldig_til, kilde_registreret, kilde_system, leverance, haendelse_id
      order by nr) as ubrudt
    from bevis_raekker r
  ) u group by enhed, datasaet, noegle, indhold, gyldig_fra, gyldig_til, kilde_registreret, kilde_system, leverance, haendelse_id, ubrudt
) t
join beviser f on f.enhed = t.enhed and f.nr = t.fra_nr
left join beviser e on e.enhed = t.enhed and e.nr = t.til_nr + 1
where e.leverance is null or e.leverance > f.leverance;
