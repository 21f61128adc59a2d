"""Every country with a telephone: ISO 3166 alpha-2, alpha-3 and numeric, and its names in French and English. Data."""

TABLE = """
AD AND 020 andorre, andorra, principaute d andorre
AE ARE 784 emirats arabes unis, united arab emirates, emirats, uae
AF AFG 004 afghanistan
AG ATG 028 antigua et barbuda, antigua and barbuda
AI AIA 660 anguilla
AL ALB 008 albanie, albania
AM ARM 051 armenie, armenia
AO AGO 024 angola
AR ARG 032 argentine, argentina
AS ASM 016 samoa americaines, american samoa
AT AUT 040 autriche, austria, osterreich
AU AUS 036 australie, australia
AW ABW 533 aruba
AX ALA 248 iles aland, aland islands
AZ AZE 031 azerbaidjan, azerbaijan
BA BIH 070 bosnie herzegovine, bosnia and herzegovina
BB BRB 052 barbade, barbados
BD BGD 050 bangladesh
BE BEL 056 belgique, belgium, belgien, belgie, belgique belgie, royaume de belgique
BF BFA 854 burkina faso
BG BGR 100 bulgarie, bulgaria
BH BHR 048 bahrein, bahrain
BI BDI 108 burundi
BJ BEN 204 benin, republique du benin
BL BLM 652 saint barthelemy, saint barth, st barth, st barthelemy
BM BMU 060 bermudes, bermuda
BN BRN 096 brunei
BO BOL 068 bolivie, bolivia
BQ BES 535 bonaire saint eustache et saba, bonaire sint eustatius and saba
BR BRA 076 bresil, brazil, brasil
BS BHS 044 bahamas
BT BTN 064 bhoutan, bhutan
BW BWA 072 botswana
BY BLR 112 bielo russie, belarus, bielorussie
BZ BLZ 084 belize
CA CAN 124 canada
CC CCK 166 iles cocos, cocos islands
CD COD 180 republique democratique du congo, democratic republic of congo, congo kinshasa, rdc
CF CAF 140 republique centre africaine, central african republic, centrafrique, republique centrafricaine
CG COG 178 congo, congo brazzaville, republique du congo
CH CHE 756 suisse, switzerland, schweiz, svizzera, confederation suisse
CI CIV 384 cote d ivoire, ivory coast
CK COK 184 iles cook, cook islands
CL CHL 152 chili, chile
CM CMR 120 cameroun, cameroon
CN CHN 156 chine, china
CO COL 170 colombie, colombia
CR CRI 188 costa rica
CU CUB 192 cuba
CV CPV 132 cap vert, cape verde, cabo verde
CW CUW 531 curacao
CX CXR 162 ile christmas, christmas island
CY CYP 196 chypre, cyprus
CZ CZE 203 republique tcheque, czech republic, czechia, tchequie
DE DEU 276 allemagne, germany, deutschland
DJ DJI 262 djibouti
DK DNK 208 danemark, denmark
DM DMA 212 dominique, dominica
DO DOM 214 republique dominicaine, dominican republic
DZ DZA 012 algerie, algeria
EC ECU 218 equateur, ecuador
EE EST 233 estonie, estonia
EG EGY 818 egypte, egypt
EH ESH 732 sahara occidental, western sahara
ER ERI 232 erythree, eritrea
ES ESP 724 espagne, spain, espana
ET ETH 231 ethiopie, ethiopia
FI FIN 246 finlande, finland
FJ FJI 242 fidji, fiji
FK FLK 238 iles malouines, falkland islands
FM FSM 583 micronesie, micronesia
FO FRO 234 iles feroe, faroe islands
FR FRA 250 france, france metropolitaine, metropole, corse, republique francaise, french republic, metropolitan france
GA GAB 266 gabon
GB GBR 826 royaume uni, united kingdom, angleterre, england, grande bretagne, great britain, ecosse, scotland
GD GRD 308 grenade, grenada
GE GEO 268 georgie, georgia
GF GUF 254 guyane francaise, french guiana, guyane, french guyana
GG GGY 831 guernesey, guernsey
GH GHA 288 ghana
GI GIB 292 gibraltar
GL GRL 304 groenland, greenland
GM GMB 270 gambie, gambia
GN GIN 324 guinee, guinea
GP GLP 312 guadeloupe
GQ GNQ 226 guinee equatoriale, equatorial guinea
GR GRC 300 grece, greece
GT GTM 320 guatemala
GU GUM 316 guam
GW GNB 624 guinee bissau, guinea bissau
GY GUY 328 guyana
HK HKG 344 hong kong
HN HND 340 honduras
HR HRV 191 croatie, croatia
HT HTI 332 haiti
HU HUN 348 hongrie, hungary
ID IDN 360 indonesie, indonesia
IE IRL 372 irlande, ireland
IL ISR 376 israel
IM IMN 833 ile de man, isle of man
IN IND 356 inde, india
IO IOT 086 territoires britanniques de l ocean indien, british indian ocean territory
IQ IRQ 368 irak, iraq
IR IRN 364 iran
IS ISL 352 islande, iceland
IT ITA 380 italie, italy, italia
JE JEY 832 jersey
JM JAM 388 jamaique, jamaica
JO JOR 400 jordanie, jordan
JP JPN 392 japon, japan
KE KEN 404 kenya
KG KGZ 417 kyrgyzstan, kirghizistan, kirghizstan
KH KHM 116 cambodge, cambodia
KI KIR 296 kiribati
KM COM 174 comores, comoros
KN KNA 659 saint christophe et nieves, saint kitts and nevis
KP PRK 408 coree du nord, north korea
KR KOR 410 coree du sud, south korea, coree, republique de coree
KW KWT 414 koweit, kuwait
KY CYM 136 iles caimans, cayman islands
KZ KAZ 398 kazakhstan
LA LAO 418 laos
LB LBN 422 liban, lebanon
LC LCA 662 sainte lucie, saint lucia
LI LIE 438 liechtenstein
LK LKA 144 sri lanka
LR LBR 430 liberia
LS LSO 426 lesotho
LT LTU 440 lithuanie, lithuania, lituanie
LU LUX 442 luxembourg, luxemburg, grand duche de luxembourg
LV LVA 428 lettonie, latvia
LY LBY 434 libye, libya
MA MAR 504 maroc, morocco
MC MCO 492 monaco, principaute de monaco
MD MDA 498 moldavie, moldova
ME MNE 499 montenegro
MF MAF 663 saint martin, st martin, saint martin partie francaise
MG MDG 450 madagascar
MH MHL 584 iles marshall, marshall islands
MK MKD 807 macedoine, macedonia, macedoine du nord, north macedonia
ML MLI 466 mali
MM MMR 104 myanmar
MN MNG 496 mongolie, mongolia
MO MAC 446 macao
MP MNP 580 iles mariannes du nord, northern mariana islands
MQ MTQ 474 martinique
MR MRT 478 mauritanie, mauritania
MS MSR 500 montserrat
MT MLT 470 malte, malta
MU MUS 480 maurice, mauritius, ile maurice
MV MDV 462 maldives
MW MWI 454 malawi
MX MEX 484 mexique, mexico
MY MYS 458 malaisie, malaysia
MZ MOZ 508 mozambique
NA NAM 516 namibie, namibia
NC NCL 540 nouvelle caledonie, new caledonia
NE NER 562 niger
NF NFK 574 ile norfolk, norfolk island
NG NGA 566 nigeria
NI NIC 558 nicaragua
NL NLD 528 pays bas, netherlands, nederland, hollande, holland
NO NOR 578 norvege, norway
NP NPL 524 nepal
NR NRU 520 nauru
NU NIU 570 niue
NZ NZL 554 nouvelle zelande, new zealand
OM OMN 512 oman
PA PAN 591 panama
PE PER 604 perou, peru
PF PYF 258 polynesie francaise, french polynesia
PG PNG 598 papouasie nouvelle guinee, papua new guinea
PH PHL 608 philippines
PK PAK 586 pakistan
PL POL 616 pologne, poland
PM SPM 666 saint pierre et miquelon, saint pierre and miquelon, st pierre et miquelon
PR PRI 630 porto rico, puerto rico
PS PSE 275 palestine
PT PRT 620 portugal
PW PLW 585 belau, palau
PY PRY 600 paraguay
QA QAT 634 qatar
RE REU 638 reunion, ile de la reunion, ile reunion
RO ROU 642 roumanie, romania
RS SRB 688 serbie, serbia
RU RUS 643 russie, russia
RW RWA 646 rwanda
SA SAU 682 arabie saoudite, saudi arabia
SB SLB 090 iles salomon, solomon islands
SC SYC 690 seychelles
SD SDN 729 soudan, sudan
SE SWE 752 suede, sweden
SG SGP 702 singapour, singapore
SH SHN 654 sainte helene, saint helena
SI SVN 705 slovenie, slovenia
SJ SJM 744 svalbard et jan mayen, svalbard and jan mayen
SK SVK 703 slovaquie, slovakia
SL SLE 694 sierra leone
SM SMR 674 saint marin, san marino
SN SEN 686 senegal
SO SOM 706 somalie, somalia
SR SUR 740 suriname
SS SSD 728 sud soudan, south sudan, soudan du sud
ST STP 678 sao tome et principe, sao tome and principe
SV SLV 222 el salvador
SX SXM 534 saint martin partie neerlandaise, sint maarten dutch part
SY SYR 760 syrie, syria
SZ SWZ 748 swaziland, eswatini
TC TCA 796 iles turks et caicos, turks and caicos islands
TD TCD 148 tchad, chad
TG TGO 768 togo
TH THA 764 thailande, thailand
TJ TJK 762 tadjikistan, tajikistan
TK TKL 772 tokelau
TL TLS 626 timor leste
TM TKM 795 turkmenistan
TN TUN 788 tunisie, tunisia
TO TON 776 tonga
TR TUR 792 turquie, turkey, turkiye
TT TTO 780 trinite et tobago, trinidad and tobago
TV TUV 798 tuvalu
TW TWN 158 taiwan
TZ TZA 834 tanzanie, tanzania
UA UKR 804 ukraine
UG UGA 800 ouganda, uganda
US USA 840 etats unis, united states, etats unis d amerique, united states of america
UY URY 858 uruguay
UZ UZB 860 ouzbekistan, uzbekistan
VA VAT 336 vatican
VC VCT 670 saint vincent et les grenadines, saint vincent and the grenadines
VE VEN 862 venezuela
VG VGB 092 iles vierges britanniques, british virgin islands
VI VIR 850 iles vierges americaines, u s virgin islands
VN VNM 704 vietnam, viet nam
VU VUT 548 vanuatu
WF WLF 876 wallis et futuna, wallis and futuna
WS WSM 882 samoa
XK XKX - kosovo
YE YEM 887 yemen
YT MYT 175 mayotte
ZA ZAF 710 afrique du sud, south africa
ZM ZMB 894 zambie, zambia
ZW ZWE 716 zimbabwe
"""
"""One a line, names without case, accents, punctuation and a leading article, further usual ones after the official.
A test holds the codes and names against the lists that come with Meta's library and the phone library: the latter's
would take a hundred megabytes to ask.
"""
