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

-- oejebliksbillede: the snapshot over several records of which a record is a part; its members' rows do not name it themselves.
create or replace temp view medlemskab as
select distinct stroem, stroem_offset, generation, datasaet, omfang, oejebliksbillede
from journal where loebenr > 0 and operation = 'snapshot' and oejebliksbillede <> '';

-- rang: the order key: time of the statement, the source's sequence (else the offset), ordinal; where these tie, stream and offset.
create or replace temp view haendelser as
select h.*, row_number() over (order by udsagt, sekvens, loebenr, stroem, stroem_offset, generation) as rang
from (
  select j.indgang, j.stroem, j.stroem_offset, j.loebenr, j.generation, j.kilde_system, j.haendelse_id, j.leverance, j.kommunekode,
    j.datasaet, d.omraade, d.slags, j.noegle, j.omfang, j.operation, j.gyldig_fra, j.kilde_registreret, j.udsagt, j.sekvens,
    coalesce(b.oejebliksbillede, '') as oejebliksbillede, j.antal, j.indhold, j.baggrund,
    concat(j.stroem, '#', cast(j.stroem_offset as string)) as post,
    coalesce(j.gyldig_fra, date '0001-01-01') as fra, coalesce(j.gyldig_til, date '9999-12-31') as til,
    a.afloest
  from talt j join datasaet d on d.datasaet = j.datasaet
  left join medlemskab b on b.stroem = j.stroem and b.stroem_offset = j.stroem_offset and b.generation = j.generation
    and b.datasaet = j.datasaet and b.omfang = j.omfang
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
select l.enhed, l.nr, h.datasaet, h.slags, h.noegle, h.kilde_system, h.omfang, h.oejebliksbillede, h.rang, h.post, h.loebenr, h.baggrund,
  case when h.operation = 'delete' then null
    when h.slags = 'haendelse' then concat(h.indhold, '@', cast(h.gyldig_fra as string)) else h.indhold end as vaerdi,
  case when h.operation = 'delete' then null else h.indhold end as indhold,
  h.fra, h.til, h.kilde_registreret, h.leverance, h.haendelse_id
from haendelser h
join laest l on l.hvis = h.kommunekode and l.omraade = h.omraade and l.kilde_system = h.kilde_system and h.indgang <= l.indgang
where (h.afloest is null or h.afloest > l.indgang) and h.kommunekode <> '0000'
  and (h.operation in ('upsert', 'delete') or (h.operation = 'replace' and h.indhold is not null))
union all
select l.enhed, l.nr, h.datasaet, h.slags, h.noegle, h.kilde_system, h.omfang, h.oejebliksbillede, h.rang, h.post, h.loebenr, h.baggrund, null, null,
  date '0001-01-01', date '9999-12-31', h.kilde_registreret, h.leverance, h.haendelse_id
from haendelser h
join laest l on l.hvis = h.kommunekode and l.omraade = h.omraade and l.kilde_system = h.kilde_system and h.indgang <= l.indgang
where (h.afloest is null or h.afloest > l.indgang) and h.kommunekode <> '0000' and h.operation = 'replace' and h.indhold is null;

-- Statements of no municipality, brought to those that may hold them: personnummer, whole, to every holder of either number.
-- Here to all that were ever told of a person of either; step 7 keeps the holders.
create or replace temp view udsagn as
select * from udsagn_egne
union all
select distinct l.enhed, l.nr, h.datasaet, h.slags, h.noegle, h.kilde_system, h.omfang, h.oejebliksbillede, h.rang, h.post, h.loebenr, h.baggrund,
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
-- records does so only when as many distinct members as it counts have landed, and takes back none of its own members.
create or replace temp view landede as
select l.enhed, l.nr, l.hvis, h.datasaet, h.kilde_system, h.omfang, h.oejebliksbillede, count(distinct h.noegle) as landet
from haendelser h
join laest l on l.hvis = h.kommunekode and l.omraade = h.omraade and l.kilde_system = h.kilde_system and h.indgang <= l.indgang
where h.operation = 'upsert' and h.oejebliksbillede <> '' -- what has landed has landed, in whatever generation
group by l.enhed, l.nr, l.hvis, h.datasaet, h.kilde_system, h.omfang, h.oejebliksbillede;

create or replace temp view billeder as
select l.enhed, l.nr, h.datasaet, h.kilde_system, h.omfang, h.oejebliksbillede, h.rang, h.post, h.loebenr, h.fra, h.til,
  h.kilde_registreret, h.leverance, h.haendelse_id
from haendelser h
join laest l on l.hvis = h.kommunekode and l.omraade = h.omraade and l.kilde_system = h.kilde_system and h.indgang <= l.indgang
join (select distinct enhed, nr, datasaet, kilde_system, omfang from udsagn where omfang <> '') o
  on o.enhed = l.enhed and o.nr = l.nr and o.datasaet = h.datasaet and o.kilde_system = h.kilde_system and o.omfang = h.omfang
left join landede m on m.enhed = l.enhed and m.nr = l.nr and m.hvis = l.hvis and m.datasaet = h.datasaet
  and m.kilde_system = h.kilde_system and m.omfang = h.omfang and m.oejebliksbillede = h.oejebliksbillede
where (h.afloest is null or h.afloest > l.indgang) and h.operation = 'snapshot'
  and (h.oejebliksbillede = '' or h.antal <= coalesce(m.landet, 0));

create or replace temp view udsagn_alle as
select u.*, false as drab from udsagn u
union all
select m.enhed, m.nr, m.datasaet, m.slags, m.noegle, m.kilde_system, m.omfang, m.oejebliksbillede, b.rang, b.post, b.loebenr, false, null, null,
  b.fra, b.til, b.kilde_registreret, b.leverance, b.haendelse_id, true
from (select distinct enhed, nr, datasaet, slags, noegle, kilde_system, omfang, oejebliksbillede from udsagn where omfang <> '') m
join billeder b on b.enhed = m.enhed and b.nr = m.nr and b.datasaet = m.datasaet and b.kilde_system = m.kilde_system
  and b.omfang = m.omfang and (b.oejebliksbillede = '' or b.oejebliksbillede <> m.oejebliksbillede);

-- 4. Agreements clip by valid time. ----------------------------------------------------------------------------------
-- State: the segment is cut to what the system owns. Fact: on the key alone (here: one segment of all time); a date that the system
-- does not own is not delivered, and takes back what the system had said of the key.
create or replace temp view klippet as
select u.enhed, u.nr, u.datasaet, u.slags, u.noegle, u.kilde_system, u.omfang, u.oejebliksbillede, u.rang, u.post, u.loebenr, u.baggrund, u.drab,
  u.vaerdi, u.indhold, greatest(u.fra, coalesce(a.fra, u.fra)) as fra, least(u.til, coalesce(a.til, u.til)) as til,
  u.fra as dato, u.kilde_registreret, u.leverance, u.haendelse_id, a.historik_fra
from udsagn_alle u
join aftaler a on a.enhed = u.enhed and a.nr = u.nr and a.kilde_system = u.kilde_system and a.datasaet in ('', u.datasaet)
where u.slags = 'tilstand'
  and greatest(u.fra, coalesce(a.fra, u.fra)) < least(u.til, coalesce(a.til, u.til))
union all
select u.enhed, u.nr, u.datasaet, u.slags, u.noegle, u.kilde_system, u.omfang, u.oejebliksbillede, u.rang, u.post, u.loebenr, u.baggrund, u.drab,
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

create or replace temp view daekning as
select d.*,
  -- said before a snapshot of its scope: taken back
  (not drab and coalesce(rang < max(case when drab then rang end)
    over (partition by enhed, nr, datasaet, noegle, sfra, kilde_system, omfang, oejebliksbillede), false)) as doed
from (
  select k.*, s.fra as sfra, s.til as stil
  from klippet k join straekninger s on s.enhed = k.enhed and s.nr = k.nr and s.datasaet = k.datasaet and s.noegle = k.noegle
    and k.fra <= s.fra and k.til >= s.til
) d;

-- The greatest order key; background only where nothing else is said, and then the least.
create or replace temp view vindere as
select enhed, nr, datasaet, noegle, sfra, stil, rang, baggrund, vaerdi, indhold from (
  select d.*, row_number() over (partition by enhed, nr, datasaet, noegle, sfra
    order by case when baggrund then 1 else 0 end, case when baggrund then rang else -rang end) as plads
  from daekning d where not drab and not doed
) p where plads = 1;

-- What is merely said again changes nothing: back from the winner, as long as what is said is equal.
-- The run of a background is one of backgrounds; that of any other goes over all that is said.
-- tavs: nothing, but the same record says after it what is: the nothing of a replace or snapshot is no say of its own.
create or replace temp view tale as
select t.*, (vaerdi is null and coalesce(loebenr < max(case when vaerdi is not null then loebenr end)
    over (partition by enhed, nr, datasaet, noegle, sfra, af_baggrund, post), false)) as tavs
from (
  select d.*, false as af_baggrund from daekning d
  union all
  select d.*, true as af_baggrund from daekning d where baggrund or vaerdi is null
) t;

-- A snapshot breaks a run only where it takes back what was said last: not what is hidden, nor what is taken back already.
create or replace temp view sagt as
select * from (
  select t.*,
    max(case when not drab then rang end) over (partition by enhed, nr, datasaet, noegle, sfra, af_baggrund
      order by rang rows between unbounded preceding and 1 preceding) as foer,
    max(case when not drab then rang end) over (partition by enhed, nr, datasaet, noegle, sfra, af_baggrund, kilde_system, omfang,
      oejebliksbillede order by rang rows between unbounded preceding and 1 preceding) as foer_af_omfang,
    max(case when drab then rang end) over (partition by enhed, nr, datasaet, noegle, sfra, af_baggrund, kilde_system, omfang,
      oejebliksbillede order by rang rows between unbounded preceding and 1 preceding) as taget
  from tale t where not tavs
) s where not drab or (foer_af_omfang = foer and foer_af_omfang > coalesce(taget, -1));

create or replace temp view loeb as
select l.*, sum(brud) over (partition by enhed, nr, datasaet, noegle, sfra, af_baggrund order by rang rows unbounded preceding) as loeb_nr
from (
  select d.*, case when vaerdi is not distinct from lag(vaerdi) over (partition by enhed, nr, datasaet, noegle, sfra, af_baggrund order by rang)
    and lag(rang) over (partition by enhed, nr, datasaet, noegle, sfra, af_baggrund order by rang) is not null then 0 else 1 end as brud
  from sagt d
) l;

create or replace temp view foerste as
select w.enhed, w.nr, w.datasaet, w.noegle, w.sfra, w.stil, w.vaerdi, w.indhold, min(f.rang) as rang
from vindere w
join loeb v on v.enhed = w.enhed and v.nr = w.nr and v.datasaet = w.datasaet and v.noegle = w.noegle and v.sfra = w.sfra
  and v.rang = w.rang and v.af_baggrund = w.baggrund
join loeb f on f.enhed = w.enhed and f.nr = w.nr and f.datasaet = w.datasaet and f.noegle = w.noegle and f.sfra = w.sfra
  and f.af_baggrund = v.af_baggrund and f.loeb_nr = v.loeb_nr and f.rang <= v.rang
where w.vaerdi is not null
group by w.enhed, w.nr, w.datasaet, w.noegle, w.sfra, w.stil, w.vaerdi, w.indhold;

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
