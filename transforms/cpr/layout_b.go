package cpr

// Layout B is the etableringsudtraek, the master extract (domain.md section 3.4). Names are the
// source's; a mark that has none of its own carries the name of the field before it. 000 and 999,
// where a file has them, are those of A. 029–031, 085 and 086 are derived from published test
// data.
var tableB = newTable(`
000 35 SORTFELT-10 4/10 OPGAVENR 14/6 PRODDTO 20/8 PRODDTOFORRIG 28/8
001 366 PNR 4/10 pnrgaeld 14/10 status_ts 24/12 status 36/2 statushaenstart 38/12
    statusdto_umrk 50/1 start_mynkod-person 51/4 start_ts-person 55/12 koen 67/1 foed_dt 68/10
    foed_dt_umrk 78/1 foed_tm 79/8 foedsekvens 87/4 start_dt-person 91/10
    start_dt-person_umrk 101/1 slut_dt-person 102/10 slut_dt-person_umrk 112/1
    stilling_mynkod 113/4 stilling_ts 117/12 stilling 129/34 mor_ts 163/12 mor_mynkod 175/4
    mor_dt 179/10 mor_dt_umrk 189/1 pnrmor 190/10 mor_foed_dt 200/10 mor_foed_dt_umrk 210/1
    mornvn 211/34 mornvn_mrk 245/1 mor_dok_mynkod 246/4 mor_dok_ts 250/12 mor_dok 262/3
    far_ts 265/12 far_mynkod 277/4 far_dt 281/10 far_dt_umrk 291/1 pnrfar 292/10
    far_foed_dt 302/10 far_foed_dt_umrk 312/1 farnvn 313/34 farnvn_mrk 347/1 far_dok_mynkod 348/4
    far_dok_ts 352/12 far_dok 364/3
005 84 PNR 4/10 start_mynkod 14/4 fødested_ts 18/12 myntxt_mynkod 30/4 myntxt_ts 34/12
    myntxt 46/20 dok_mynkod 66/4 dok_ts 70/12 dok 82/3
010 60 PNR 4/10 start_mynkod 14/4 fkirk_ts 18/12 fkirk 30/1 start_dt 31/10 start_dt_umrk 41/1
    dok_mynkod 42/4 dok_ts 46/12 dok 58/3
011 71 PNR 4/10 start_mynkod 14/4 fkirk_ts 18/12 fkirk 30/1 start_dt 31/10 start_dt_umrk 41/1
    slut_dt 42/10 slut_dt_umrk 52/1 dok_mynkod 53/4 dok_ts 57/12 dok 69/3
015 56 PNR 4/10 beskyttype 14/4 start_mynkod 18/4 start_ts 22/12 start_dt 34/10 indrap 44/3
    slet_dt 47/10
016 82 PNR 4/10 beskyttype 14/4 start_mynkod 18/4 start_ts 22/12 start_dt 34/10 indrap 44/3
    slet_dt 47/10 slut_mynkod 57/4 slut_ts 61/12 slut_dt 73/10
020 324 PNR 4/10 start_mynkod 14/4 nvn_ts 18/12 fornvn 30/50 fornvn_mrk 80/1 melnvn 81/40
    melnvn_mrk 121/1 efternvn 122/40 efternvn_mrk 162/1 slægtnvn 163/40 slægtnvn_mrk 203/1
    nvnhaenstart 204/12 nvnhaenstart_umrk 216/1 adrnvn_mynkod 217/4 adrnvn_ts 221/12 adrnvn 233/34
    indrap 267/3 dok_mynkod 270/4 dok_ts 274/12 dok 286/3 myntxt_mynkod 289/4 myntxt_ts 293/12
    myntxt 305/20
021 285 PNR 4/10 annkor 14/1 start_mynkod 15/4 nvn_ts 19/12 fornvn 31/50 fornvn_mrk 81/1
    melnvn 82/40 melnvn_mrk 122/1 efternvn 123/40 efternvn_mrk 163/1 slægtnvn 164/40
    slægtnvn_mrk 204/1 nvnhaenstart 205/12 nvnhaenstart_umrk 217/1 nvnhaenslut 218/12
    nvnhaenslut_umrk 230/1 dok_mynkod 231/4 dok_ts 235/12 dok 247/3 myntxt_mynkod 250/4
    myntxt_ts 254/12 myntxt 266/20
025 354 PNR 4/10 start_mynkod 14/4 adr_ts 18/12 komkod 30/4 vejkod 34/4 husnr 38/4 etage 42/2
    sidedoer 44/4 bnr 48/4 convn 52/34 convn_ts 86/12 tilflydto 98/12 tilflydto_umrk 110/1
    tilfra_mynkod 111/4 tilfra_ts 115/12 tilflykomdto 127/12 tilflykomdto_umrk 139/1
    fraflykomkod 140/4 fraflykomdto 144/12 fraflykomdto_umrk 156/1 adrtxttype 157/4
    start_mynkod-adrtxt 161/4 adr1-supladr 165/34 adr2-supladr 199/34 adr3-supladr 233/34
    adr4-supladr 267/34 adr5-supladr 301/34 start_dt-adrtxt 335/10 slet_dt-adrtxt 345/10
026 170 PNR 4/10 annkor 14/1 start_mynkod 15/4 adr_ts 19/12 komkod 31/4 vejkod 35/4 husnr 39/4
    etage 43/2 sidedoer 45/4 bnr 49/4 convn 53/34 convn_ts 87/12 tilflydto 99/12
    tilflydto_umrk 111/1 fraflydto 112/12 fraflydto_umrk 124/1 tilfra_mynkod 125/4
    tilfra_ts 129/12 tilflykomdto 141/12 tilflykomdto_umrk 153/1 fraflykomkod 154/4 fraflykomdto 158/12 fraflykomdto_umrk 170/1
028 232 PNR 4/10 start_mynkod 14/4 udr_ts 18/12 udr_landekod 30/4 udrdto 34/12 udrdto_umrk 46/1
    udlandadr_mynkod 47/4 udlandadr_ts 51/12 udlandadr1 63/34 udlandadr2 97/34 udlandadr3 131/34
    udlandadr4 165/34 udlandadr5 199/34
029 262 PNR 4/10 annkor 14/1 start_mynkod 15/4 udr_ts 19/12 udr_landekod 31/4 udrdto 35/12
    udrdto_umrk 47/1 indr_ts 48/12 indr_landekod 60/4 indrdto 64/12 indrdto_umrk 76/1
    udlandadr_mynkod 77/4 udlandadr_ts 81/12 udlandadr1 93/34 udlandadr2 127/34 udlandadr3 161/34
    udlandadr4 195/34 udlandadr5 229/34
030 41 PNR 4/10 start_mynkod 14/4 ts 18/12 forsvinddto 30/12
031 67 PNR 4/10 annkor 14/1 start_mynkod 15/4 ts 19/12 forsvinddto 31/12 forsvinddto_umrk 43/1
    genfind_ts 44/12 genfinddto 56/12
035 166 PNR 4/10 start_mynkod 14/4 civ_ts 18/12 civst 30/1 aegtepnr 31/10 aegtefoed_dt 41/10
    aegtefoed_dt_umrk 51/1 aegtenvn 52/34 aegtenvn_mrk 86/1 haenstart 87/12 haenstart_umrk 99/1
    dok_mynkod 100/4 dok_ts 104/12 dok 116/3 myntxt_mynkod 119/4 myntxt_ts 123/12 myntxt 135/20
    sep_henvis_ts 155/12
036 180 PNR 4/10 annkor 14/1 start_mynkod 15/4 civ_ts 19/12 civst 31/1 aegtepnr 32/10
    aegtefoed_dt 42/10 aegtefoed_dt_umrk 52/1 aegtenvn 53/34 aegtenvn_mrk 87/1 haenstart 88/12
    haenstart_umrk 100/1 haenslut 101/12 haenslut_umrk 113/1 dok_mynkod 114/4 dok_ts 118/12
    dok 130/3 myntxt_mynkod 133/4 myntxt_ts 137/12 myntxt 149/20 sep_henvis_ts 169/12
040 65 PNR 4/10 start_mynkod 14/4 stat_ts 18/12 landekod 30/4 haenstart 34/12 haenstart_umrk 46/1
    dok_mynkod 47/4 dok_ts 51/12 dok 63/3
041 79 PNR 4/10 annkor 14/1 start_mynkod 15/4 stat_ts 19/12 landekod 31/4 haenstart 35/12
    haenstart_umrk 47/1 haenslut 48/12 haenslut_umrk 60/1 dok_mynkod 61/4 dok_ts 65/12 dok 77/3
045 37 PNR 4/10 pnrchild 14/10 status 24/2 haenstart 26/12
046 82 PNR 4/10 start_ts 14/12 reltyp 26/4 start_mynkod 30/4 start_dt 34/10 start_dt_umrk 44/1
    slet_dt 45/10 reltyp-relpnr 55/4 start_mynkod-relpnr 59/4 relpnr 63/10 start_dt-relpnr 73/10
050 292 PNR 4/10 start_mynkod 14/4 start_dt 18/10 start_dt_umrk 28/1 slet_dt 29/10
    umyn_reltyp 39/4 reltyp-relpnr 43/4 start_mynkod-relpnr 47/4 relpnr 51/10
    start_dt-relpnr 61/10 reltyp-txt 71/4 start_mynkod-txt 75/4 reladrsat 79/34
    start_dt-txt 113/10 reltxt1 123/34 reltxt2 157/34 reltxt3 191/34 reltxt4 225/34 reltxt5 259/34
065 49 PNR 4/10 start_mynkod 14/4 gammelt_pnr 18/10 start_dt 28/10 start_dt_umrk 38/1
    slut_dt 39/10 slut_dt_umrk 49/1
085 52 PNR 4/10 sep_henvis 14/12 start_mynkod 26/4 start_dt 30/10 start_dt_umrk 40/1 ts 41/12
086 80 PNR 4/10 annkor 14/1 sep_henvis 15/12 start_mynkod 27/4 start_dt 31/10 start_dt_umrk 41/1
    ts 42/12 slut_mynkod 54/4 slut_dt 58/10 slut_dt_umrk 68/1 slut_ts 69/12
900 30 PNR 4/10 timestamp 14/12 event 26/3 derived 29/2
910 157 SORTFELT-10 4/10 INDDATA 14/75 FEJLNR 89/4 FEJLTXT-UDTRÆK 93/65
997 43 PNR 4/10 TIMESTAMPU 14/12 HAENDELSE 26/3 NGLKONST 29/15
999 21 SORTFELT-10 4/10 TAELLER 14/8
`)
