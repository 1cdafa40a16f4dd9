BEGIN TRANSACTION;
CREATE TABLE checkpoint (job_seq INTEGER PRIMARY KEY REFERENCES job(seq) ON DELETE CASCADE, seq INTEGER NOT NULL, cursor BLOB NOT NULL, state BLOB NOT NULL) STRICT;
INSERT INTO "checkpoint" VALUES(4,13,X'7B2262617463686573223A7B2230223A7B22636F756E74223A32302C2274616C6C696573223A7B226576656E223A31302C226F6464223A382C226661696C6564223A327D2C22636F6D706C657465223A747275657D7D7D',X'6E756C6C');
INSERT INTO "checkpoint" VALUES(5,25,X'7B2262617463686573223A7B2230223A7B22636F756E74223A34302C2274616C6C696573223A7B226576656E223A32302C226F6464223A31362C226661696C6564223A347D2C22636F6D706C657465223A747275657D7D7D',X'6E756C6C');
INSERT INTO "checkpoint" VALUES(6,10,X'7B2262617463686573223A7B2230223A7B22636F756E74223A31372C226C617374223A223136222C2274616C6C696573223A7B226576656E223A392C226F6464223A362C226661696C6564223A327D7D7D7D',X'6E756C6C');
INSERT INTO "checkpoint" VALUES(7,10,X'7B2262617463686573223A7B2230223A7B22636F756E74223A31372C226C617374223A223136222C2274616C6C696573223A7B226576656E223A392C226F6464223A362C226661696C6564223A327D7D7D7D',X'6E756C6C');
CREATE TABLE environment (hash TEXT PRIMARY KEY, data BLOB NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO "environment" VALUES('31c81a6a63b0e92cc0dd8bfd8cc3b18fc9ec0ea9bc45b35786c510a070b7cbcd',X'7B224C414E47223A22432E5554462D38222C2250415448223A222F7573722F62696E3A2F62696E227D');
CREATE TABLE failed_item (job_seq INTEGER NOT NULL REFERENCES job(seq) ON DELETE CASCADE, batch TEXT NOT NULL, key TEXT NOT NULL, ordinal INTEGER NOT NULL, error TEXT NOT NULL, run INTEGER NOT NULL, at REAL NOT NULL, PRIMARY KEY (job_seq, batch, key)) STRICT, WITHOUT ROWID;
INSERT INTO "failed_item" VALUES(4,'0','13',13,'{"type":"ValueError","message":"item 13 is bad","traceback":"Traceback (most recent call last):\n  File \"@HOME@/jobs.py\", line 12, in one\n    raise ValueError(f\"item {item} is bad\")\nValueError: item 13 is bad\n"}',1,1795634979.52905);
INSERT INTO "failed_item" VALUES(4,'0','3',3,'{"type":"ValueError","message":"item 3 is bad","traceback":"Traceback (most recent call last):\n  File \"@HOME@/jobs.py\", line 12, in one\n    raise ValueError(f\"item {item} is bad\")\nValueError: item 3 is bad\n"}',1,1.79563497951464962954e+09);
INSERT INTO "failed_item" VALUES(5,'0','13',13,'{"type":"ValueError","message":"item 13 is bad","traceback":"Traceback (most recent call last):\n  File \"@HOME@/jobs.py\", line 12, in one\n    raise ValueError(f\"item {item} is bad\")\nValueError: item 13 is bad\n"}',1,1.79563497959957242013e+09);
INSERT INTO "failed_item" VALUES(5,'0','23',23,'{"type":"ValueError","message":"item 23 is bad","traceback":"Traceback (most recent call last):\n  File \"@HOME@/jobs.py\", line 12, in one\n    raise ValueError(f\"item {item} is bad\")\nValueError: item 23 is bad\n"}',1,1.79563497962923026085e+09);
INSERT INTO "failed_item" VALUES(5,'0','3',3,'{"type":"ValueError","message":"item 3 is bad","traceback":"Traceback (most recent call last):\n  File \"@HOME@/jobs.py\", line 12, in one\n    raise ValueError(f\"item {item} is bad\")\nValueError: item 3 is bad\n"}',1,1.79563497958007717127e+09);
INSERT INTO "failed_item" VALUES(5,'0','33',33,'{"type":"ValueError","message":"item 33 is bad","traceback":"Traceback (most recent call last):\n  File \"@HOME@/jobs.py\", line 12, in one\n    raise ValueError(f\"item {item} is bad\")\nValueError: item 33 is bad\n"}',1,1.79563497965731334688e+09);
INSERT INTO "failed_item" VALUES(6,'0','13',13,'{"type":"ValueError","message":"item 13 is bad","traceback":"Traceback (most recent call last):\n  File \"@HOME@/jobs.py\", line 12, in one\n    raise ValueError(f\"item {item} is bad\")\nValueError: item 13 is bad\n"}',1,1.79563497977750921247e+09);
INSERT INTO "failed_item" VALUES(6,'0','3',3,'{"type":"ValueError","message":"item 3 is bad","traceback":"Traceback (most recent call last):\n  File \"@HOME@/jobs.py\", line 12, in one\n    raise ValueError(f\"item {item} is bad\")\nValueError: item 3 is bad\n"}',1,1.79563497973507738112e+09);
INSERT INTO "failed_item" VALUES(7,'0','13',13,'{"type":"ValueError","message":"item 13 is bad","traceback":"Traceback (most recent call last):\n  File \"@HOME@/jobs.py\", line 12, in one\n    raise ValueError(f\"item {item} is bad\")\nValueError: item 13 is bad\n"}',1,1.79563497990390586855e+09);
INSERT INTO "failed_item" VALUES(7,'0','3',3,'{"type":"ValueError","message":"item 3 is bad","traceback":"Traceback (most recent call last):\n  File \"@HOME@/jobs.py\", line 12, in one\n    raise ValueError(f\"item {item} is bad\")\nValueError: item 3 is bad\n"}',1,1.79563497986079716683e+09);
CREATE TABLE job (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  queue TEXT NOT NULL,
  priority INTEGER NOT NULL,
  key TEXT,
  owner INTEGER NOT NULL,
  environment TEXT,
  created_at REAL NOT NULL,
  newest_at REAL NOT NULL,
  state TEXT NOT NULL,
  due_at REAL,
  started_at REAL,
  ended_at REAL,
  attempts INTEGER NOT NULL DEFAULT 0,
  only_failed INTEGER NOT NULL DEFAULT 0,
  stop TEXT,
  outcome TEXT,
  reason TEXT,
  error TEXT,
  fence INTEGER NOT NULL DEFAULT 0,
  run_open INTEGER NOT NULL DEFAULT 0,
  run_number INTEGER NOT NULL DEFAULT 0,
  run_seat TEXT,
  run_since REAL,
  run TEXT,
  done INTEGER NOT NULL DEFAULT 0,
  total INTEGER,
  note TEXT,
  tallies TEXT,
  failed_items INTEGER NOT NULL DEFAULT 0,
  seen_at REAL,
  checkpoint_seq INTEGER NOT NULL DEFAULT 0,
  checkpoint_at REAL,
  last_entry INTEGER NOT NULL DEFAULT 0,
  spec TEXT
) STRICT
;
INSERT INTO "job" VALUES(1,'wzzn6ztk5thw','succeeded','command','default',0,NULL,0,'31c81a6a63b0e92cc0dd8bfd8cc3b18fc9ec0ea9bc45b35786c510a070b7cbcd',1.79563497895967054364e+09,1.79563497895967054364e+09,'succeeded',NULL,1.79563497899707746503e+09,1.79563497900782108309e+09,0,0,NULL,'succeeded',NULL,NULL,1,0,1,'sefc7bd46',1.79563497899707746503e+09,'{"number":1,"fence":1,"state":"ended","seat":"sefc7bd46","epoch":1,"cookie":"8bdf59d8b2a755744580771d17835ff4","claimed_at":1795634978.9921684,"started_at":1795634978.9970775,"ended_at":1795634979.007821,"outcome":"succeeded","status":0,"reason":null,"usage":{"user_s":0.000279,"system_s":0.0014479999999999999,"max_rss_kib":9352},"identity":{"boot_id":"49b9b778-0b75-47bb-b438-638f55666ff5","pid":14798,"start_ticks":2424524,"pidfd_inode":2278262}}',0,NULL,NULL,NULL,0,NULL,0,NULL,5,'{"command":["sh","-c","echo out; echo err >&2"],"name":"succeeded","labels":{"team":"a"},"cwd":"@HOME@"}');
INSERT INTO "job" VALUES(2,'3zksk53nn6z5','failed','command','default',5,'nightly',0,'31c81a6a63b0e92cc0dd8bfd8cc3b18fc9ec0ea9bc45b35786c510a070b7cbcd',1.79563497903414511685e+09,1.79563497903414511685e+09,'failed',NULL,1.7956349790475358963e+09,1.79563497905571150779e+09,0,0,NULL,'failed','exit code 3',NULL,1,0,1,'sefc7bd46',1.7956349790475358963e+09,'{"number":1,"fence":1,"state":"ended","seat":"sefc7bd46","epoch":1,"cookie":"acad1bea6cfe1d1966c96e4f486b3fd4","claimed_at":1795634979.0446155,"started_at":1795634979.047536,"ended_at":1795634979.0557115,"outcome":"failed","status":768,"reason":"exit code 3","usage":{"user_s":0.000089,"system_s":0.000882,"max_rss_kib":9528},"identity":{"boot_id":"49b9b778-0b75-47bb-b438-638f55666ff5","pid":14800,"start_ticks":2424529,"pidfd_inode":2278264}}',0,NULL,NULL,NULL,0,NULL,0,NULL,9,'{"command":["sh","-c","exit 3"],"name":"failed","key":"nightly","priority":5,"cwd":"@HOME@"}');
INSERT INTO "job" VALUES(3,'rnrfgh50p6gg','scheduled','command','default',0,NULL,0,'31c81a6a63b0e92cc0dd8bfd8cc3b18fc9ec0ea9bc45b35786c510a070b7cbcd',1.79563497907506322863e+09,1.79563497907506322863e+09,'scheduled',1.79563782840572929377e+09,1.79563497908973693844e+09,NULL,1,0,NULL,'failed','exit code 1',NULL,1,0,1,'sefc7bd46',1.79563497908973693844e+09,'{"number":1,"fence":1,"state":"ended","seat":"sefc7bd46","epoch":1,"cookie":"13e54f60e328b4c69a26468a1bd29776","claimed_at":1795634979.0802038,"started_at":1795634979.089737,"ended_at":1795634979.0945888,"outcome":"failed","status":256,"reason":"exit code 1","usage":{"user_s":0.0008309999999999999,"system_s":0.0,"max_rss_kib":9528},"identity":{"boot_id":"49b9b778-0b75-47bb-b438-638f55666ff5","pid":14801,"start_ticks":2424533,"pidfd_inode":2278265}}',0,NULL,NULL,NULL,0,NULL,0,NULL,13,'{"command":["false"],"name":"scheduled","retries":1,"backoff_s":31536000.0,"cwd":"@HOME@"}');
INSERT INTO "job" VALUES(4,'wjn6q127s2ba','with_failed_items','function','default',0,NULL,0,'31c81a6a63b0e92cc0dd8bfd8cc3b18fc9ec0ea9bc45b35786c510a070b7cbcd',1.79563497911262702944e+09,1.79563497911262702944e+09,'succeeded',NULL,1.79563497945103311536e+09,1795634979.56289,0,0,NULL,'succeeded',NULL,NULL,1,0,1,'sc4a61efe',1.79563497945103311536e+09,'{"number":1,"fence":1,"state":"ended","seat":"sc4a61efe","epoch":1,"cookie":"cd2f2cee4f590149656f72409de4e2b9","claimed_at":1795634979.4466257,"started_at":1795634979.451033,"ended_at":1795634979.56289,"outcome":"succeeded","status":null,"reason":null,"usage":null,"identity":null}',20,20,NULL,'{"even":10,"odd":8,"failed":2}',2,1.79563497956022858617e+09,13,1.79563497956022858617e+09,17,'{"function":"jobs:batch","arguments":{"log":"@HOME@/with_failed_items.items","gate":"@HOME@/gate","number":20,"hold_at":-1},"name":"with_failed_items","cwd":"@HOME@","python":"@PYTHON@"}');
INSERT INTO "job" VALUES(5,'8p3rdan3emmp','failed_at_the_end','function','default',0,NULL,0,'31c81a6a63b0e92cc0dd8bfd8cc3b18fc9ec0ea9bc45b35786c510a070b7cbcd',1.7956349795722060204e+09,1.7956349795722060204e+09,'failed',NULL,1.79563497957566547396e+09,1.79563497968883514408e+09,0,0,NULL,'failed','RuntimeError: not yet','{"type":"RuntimeError","message":"not yet","traceback":"Traceback (most recent call last):\n  File \"@HOME@/jobs.py\", line 16, in batch\n    raise RuntimeError(\"not yet\")\nRuntimeError: not yet\n"}',1,0,1,'sc4a61efe',1.79563497957566547396e+09,'{"number":1,"fence":1,"state":"ended","seat":"sc4a61efe","epoch":1,"cookie":"a664105442c20ea2ec77c6f5e9febeaa","claimed_at":1795634979.5745144,"started_at":1795634979.5756655,"ended_at":1795634979.6888351,"outcome":"failed","status":null,"reason":"RuntimeError: not yet","usage":null,"identity":null}',40,40,NULL,'{"even":20,"odd":16,"failed":4}',4,1.7956349796809880733e+09,25,1.7956349796809880733e+09,21,'{"function":"jobs:batch","arguments":{"log":"@HOME@/failed_at_the_end.items","gate":"@HOME@/gate","hold_at":-1,"fail":true},"name":"failed_at_the_end","cwd":"@HOME@","python":"@PYTHON@"}');
INSERT INTO "job" VALUES(6,'s9whmb2mfrkj','cancelled_batch','function','default',0,NULL,0,'31c81a6a63b0e92cc0dd8bfd8cc3b18fc9ec0ea9bc45b35786c510a070b7cbcd',1.79563497970639729503e+09,1.79563497970639729503e+09,'cancelled',NULL,1.79563497972367930406e+09,1.79563497979974818225e+09,0,0,NULL,'cancelled','cancelled',NULL,1,0,1,'sc4a61efe',1.79563497972367930406e+09,'{"number":1,"fence":1,"state":"ended","seat":"sc4a61efe","epoch":1,"cookie":"3710c1c3beda4d9013f046af1bd6ec40","claimed_at":1795634979.7083337,"started_at":1795634979.7236793,"ended_at":1795634979.7997482,"outcome":"cancelled","status":null,"reason":"cancelled","usage":null,"identity":null}',17,40,NULL,'{"even":9,"odd":6,"failed":2}',2,1.79563497978171491623e+09,10,1.79563497978171491623e+09,26,'{"function":"jobs:batch","arguments":{"log":"@HOME@/cancelled_batch.items","gate":"@HOME@/gate"},"name":"cancelled_batch","cwd":"@HOME@","python":"@PYTHON@"}');
INSERT INTO "job" VALUES(7,'8ddc38wyjhme','finished_alone','function','default',0,NULL,0,'31c81a6a63b0e92cc0dd8bfd8cc3b18fc9ec0ea9bc45b35786c510a070b7cbcd',1.79563497982318854336e+09,1.79563497982318854336e+09,'running',NULL,1.79563497985180687901e+09,NULL,0,0,NULL,NULL,NULL,NULL,1,1,1,'sc4a61efe',1.79563497985180687901e+09,'{"number":1,"fence":1,"state":"running","seat":"sc4a61efe","epoch":1,"cookie":"49334284e74d9cff6ade99297c68b187","claimed_at":1795634979.8328834,"started_at":1795634979.8518069,"ended_at":null,"outcome":null,"status":null,"reason":null,"usage":null,"identity":null}',17,40,NULL,'{"even":9,"odd":6,"failed":2}',2,1.79563497992941713331e+09,10,1.79563497992941713331e+09,28,'{"function":"jobs:batch","arguments":{"log":"@HOME@/finished_alone.items","gate":"@HOME@/gate"},"name":"finished_alone","cwd":"@HOME@","python":"@PYTHON@"}');
INSERT INTO "job" VALUES(8,'14r1cyn5eynd','running','command','default',0,NULL,0,'31c81a6a63b0e92cc0dd8bfd8cc3b18fc9ec0ea9bc45b35786c510a070b7cbcd',1.79563497993033170697e+09,1.79563497993033170697e+09,'running',NULL,1.79563497995154857638e+09,NULL,0,0,NULL,NULL,NULL,NULL,1,1,1,'sefc7bd46',1.79563497995154857638e+09,'{"number":1,"fence":1,"state":"running","seat":"sefc7bd46","epoch":1,"cookie":"c5ab2ee4ee19f635cb78ce193953d715","claimed_at":1795634979.9422162,"started_at":1795634979.9515486,"ended_at":null,"outcome":null,"status":null,"reason":null,"usage":null,"identity":{"boot_id":"49b9b778-0b75-47bb-b438-638f55666ff5","pid":14823,"start_ticks":2424620,"pidfd_inode":2278287}}',0,NULL,NULL,NULL,0,NULL,0,NULL,30,'{"command":["sleep","600"],"name":"running","cwd":"@HOME@"}');
INSERT INTO "job" VALUES(9,'702p4fzk0382','cancelling','command','default',0,NULL,0,'31c81a6a63b0e92cc0dd8bfd8cc3b18fc9ec0ea9bc45b35786c510a070b7cbcd',1.79563497997501873969e+09,1.79563497997501873969e+09,'cancelling',NULL,1.79563498000688838958e+09,NULL,0,0,'cancelled',NULL,NULL,NULL,1,1,1,'s69de944e',1.79563498000688838958e+09,'{"number":1,"fence":1,"state":"running","seat":"s69de944e","epoch":1,"cookie":"f1322146460d33dfb93e35c23663170c","claimed_at":1795634979.995928,"started_at":1795634980.0068884,"ended_at":null,"outcome":null,"status":null,"reason":null,"usage":null,"identity":{"boot_id":"49b9b778-0b75-47bb-b438-638f55666ff5","pid":14827,"start_ticks":2424625,"pidfd_inode":2278291}}',0,NULL,NULL,NULL,0,NULL,0,NULL,33,'{"command":["sh","-c","trap '''' TERM; while :; do sleep 1; done"],"name":"cancelling","grace_s":3600.0,"cwd":"@HOME@"}');
INSERT INTO "job" VALUES(10,'ea4y3be3dn3k','running_too','command','default',0,NULL,0,'31c81a6a63b0e92cc0dd8bfd8cc3b18fc9ec0ea9bc45b35786c510a070b7cbcd',1.79563498004435968401e+09,1.79563498004435968401e+09,'running',NULL,1.79563498007143497467e+09,NULL,0,0,NULL,NULL,NULL,NULL,1,1,1,'s690b28d4',1.79563498007143497467e+09,'{"number":1,"fence":1,"state":"running","seat":"s690b28d4","epoch":1,"cookie":"2939f1421c219ccb7ad1027a96cfa489","claimed_at":1795634980.0629122,"started_at":1795634980.071435,"ended_at":null,"outcome":null,"status":null,"reason":null,"usage":null,"identity":{"boot_id":"49b9b778-0b75-47bb-b438-638f55666ff5","pid":14833,"start_ticks":2424632,"pidfd_inode":2278297}}',0,NULL,NULL,NULL,0,NULL,0,NULL,35,'{"command":["sleep","600"],"name":"running_too","on_lost":"resume","cwd":"@HOME@"}');
INSERT INTO "job" VALUES(11,'3maedwe0cf8h','queued','command','default',0,NULL,0,'31c81a6a63b0e92cc0dd8bfd8cc3b18fc9ec0ea9bc45b35786c510a070b7cbcd',1.79563498010850834847e+09,1.79563498010850834847e+09,'queued',NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,1,1,1,'sefc7bd46',1.79563498011293363578e+09,'{"number":1,"fence":1,"state":"starting","seat":"sefc7bd46","epoch":1,"cookie":"ce48963cd576a4a2706568341b69703f","claimed_at":1795634980.1129336,"started_at":null,"ended_at":null,"outcome":null,"status":null,"reason":null,"usage":null,"identity":null}',0,NULL,NULL,NULL,0,NULL,0,NULL,36,'{"command":["sh","-c","echo at last"],"name":"queued","cwd":"@HOME@"}');
CREATE TABLE journal (seq INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, job TEXT, run INTEGER, uid INTEGER, gid INTEGER, pid INTEGER, data TEXT, prev INTEGER NOT NULL) STRICT;
INSERT INTO "journal" VALUES(1,1.79563497894345140454e+09,'daemon_started',NULL,NULL,NULL,NULL,NULL,'{"version":"0.1.0","pid":14767,"epoch":1,"boot_id":"49b9b778-0b75-47bb-b438-638f55666ff5"}',0);
INSERT INTO "journal" VALUES(2,1.79563497895967054364e+09,'submitted','wzzn6ztk5thw',NULL,0,0,14754,'{"queue":"default"}',0);
INSERT INTO "journal" VALUES(3,1.79563497899707746503e+09,'started','wzzn6ztk5thw',1,NULL,NULL,NULL,'{"seat":"sefc7bd46"}',2);
INSERT INTO "journal" VALUES(4,1.79563497900782108309e+09,'ended','wzzn6ztk5thw',1,NULL,NULL,NULL,'{"outcome":"succeeded","status":0}',3);
INSERT INTO "journal" VALUES(5,1.79563497900782108309e+09,'succeeded','wzzn6ztk5thw',1,NULL,NULL,NULL,NULL,4);
INSERT INTO "journal" VALUES(6,1.79563497903414511685e+09,'submitted','3zksk53nn6z5',NULL,0,0,14754,'{"queue":"default"}',0);
INSERT INTO "journal" VALUES(7,1.7956349790475358963e+09,'started','3zksk53nn6z5',1,NULL,NULL,NULL,'{"seat":"sefc7bd46"}',6);
INSERT INTO "journal" VALUES(8,1.79563497905571150779e+09,'ended','3zksk53nn6z5',1,NULL,NULL,NULL,'{"outcome":"failed","status":768,"reason":"exit code 3"}',7);
INSERT INTO "journal" VALUES(9,1.79563497905571150779e+09,'failed','3zksk53nn6z5',1,NULL,NULL,NULL,NULL,8);
INSERT INTO "journal" VALUES(10,1.79563497907506322863e+09,'submitted','rnrfgh50p6gg',NULL,0,0,14754,'{"queue":"default"}',0);
INSERT INTO "journal" VALUES(11,1.79563497908973693844e+09,'started','rnrfgh50p6gg',1,NULL,NULL,NULL,'{"seat":"sefc7bd46"}',10);
INSERT INTO "journal" VALUES(12,1.79563497909458875652e+09,'ended','rnrfgh50p6gg',1,NULL,NULL,NULL,'{"outcome":"failed","status":256,"reason":"exit code 1"}',11);
INSERT INTO "journal" VALUES(13,1.79563497909458875652e+09,'retry','rnrfgh50p6gg',1,NULL,NULL,NULL,'{"due_at":1795637828.4057293,"attempts":1}',12);
INSERT INTO "journal" VALUES(14,1.79563497911262702944e+09,'submitted','wjn6q127s2ba',NULL,0,0,14754,'{"queue":"default"}',0);
INSERT INTO "journal" VALUES(15,1.79563497945103311536e+09,'started','wjn6q127s2ba',1,NULL,NULL,NULL,'{"seat":"sc4a61efe"}',14);
INSERT INTO "journal" VALUES(16,1795634979.56289,'ended','wjn6q127s2ba',1,NULL,NULL,NULL,'{"outcome":"succeeded"}',15);
INSERT INTO "journal" VALUES(17,1795634979.56289,'succeeded','wjn6q127s2ba',1,NULL,NULL,NULL,NULL,16);
INSERT INTO "journal" VALUES(18,1.7956349795722060204e+09,'submitted','8p3rdan3emmp',NULL,0,0,14754,'{"queue":"default"}',0);
INSERT INTO "journal" VALUES(19,1.79563497957566547396e+09,'started','8p3rdan3emmp',1,NULL,NULL,NULL,'{"seat":"sc4a61efe"}',18);
INSERT INTO "journal" VALUES(20,1.79563497968883514408e+09,'ended','8p3rdan3emmp',1,NULL,NULL,NULL,'{"outcome":"failed","reason":"RuntimeError: not yet"}',19);
INSERT INTO "journal" VALUES(21,1.79563497968883514408e+09,'failed','8p3rdan3emmp',1,NULL,NULL,NULL,NULL,20);
INSERT INTO "journal" VALUES(22,1.79563497970639729503e+09,'submitted','s9whmb2mfrkj',NULL,0,0,14754,'{"queue":"default"}',0);
INSERT INTO "journal" VALUES(23,1.79563497972367930406e+09,'started','s9whmb2mfrkj',1,NULL,NULL,NULL,'{"seat":"sc4a61efe"}',22);
INSERT INTO "journal" VALUES(24,1.7956349797866921425e+09,'cancel_requested','s9whmb2mfrkj',1,0,0,14754,'{"stop":"cancelled"}',23);
INSERT INTO "journal" VALUES(25,1.79563497979974818225e+09,'ended','s9whmb2mfrkj',1,NULL,NULL,NULL,'{"outcome":"cancelled","reason":"cancelled"}',24);
INSERT INTO "journal" VALUES(26,1.79563497979974818225e+09,'cancelled','s9whmb2mfrkj',1,NULL,NULL,NULL,NULL,25);
INSERT INTO "journal" VALUES(27,1.79563497982318854336e+09,'submitted','8ddc38wyjhme',NULL,0,0,14754,'{"queue":"default"}',0);
INSERT INTO "journal" VALUES(28,1.79563497985180687901e+09,'started','8ddc38wyjhme',1,NULL,NULL,NULL,'{"seat":"sc4a61efe"}',27);
INSERT INTO "journal" VALUES(29,1.79563497993033170697e+09,'submitted','14r1cyn5eynd',NULL,0,0,14754,'{"queue":"default"}',0);
INSERT INTO "journal" VALUES(30,1.79563497995154857638e+09,'started','14r1cyn5eynd',1,NULL,NULL,NULL,'{"seat":"sefc7bd46"}',29);
INSERT INTO "journal" VALUES(31,1.79563497997501873969e+09,'submitted','702p4fzk0382',NULL,0,0,14754,'{"queue":"default"}',0);
INSERT INTO "journal" VALUES(32,1.79563498000688838958e+09,'started','702p4fzk0382',1,NULL,NULL,NULL,'{"seat":"s69de944e"}',31);
INSERT INTO "journal" VALUES(33,1.79563498002619194989e+09,'cancel_requested','702p4fzk0382',1,0,0,14754,'{"stop":"cancelled"}',32);
INSERT INTO "journal" VALUES(34,1.79563498004435968401e+09,'submitted','ea4y3be3dn3k',NULL,0,0,14754,'{"queue":"default"}',0);
INSERT INTO "journal" VALUES(35,1.79563498007143497467e+09,'started','ea4y3be3dn3k',1,NULL,NULL,NULL,'{"seat":"s690b28d4"}',34);
INSERT INTO "journal" VALUES(36,1.79563498010850834847e+09,'submitted','3maedwe0cf8h',NULL,0,0,14754,'{"queue":"default"}',0);
CREATE TABLE label (key TEXT NOT NULL, value TEXT NOT NULL, job_seq INTEGER NOT NULL REFERENCES job(seq) ON DELETE CASCADE, PRIMARY KEY (key, value, job_seq)) STRICT, WITHOUT ROWID;
INSERT INTO "label" VALUES('team','a',1);
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO "meta" VALUES('clean','0');
INSERT INTO "meta" VALUES('database_epoch','26dabba45dc87781');
INSERT INTO "meta" VALUES('epoch','1');
CREATE TABLE request (uid INTEGER NOT NULL, id TEXT NOT NULL, digest TEXT NOT NULL, answer TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (uid, id)) STRICT, WITHOUT ROWID;
INSERT INTO "request" VALUES(0,'35d7f3592a3a4d379d0dc80b9f26ba22','a980a766c6f378095eb7ed4b4d3dcdfcb5b18ed4ffda95bf3654a223f009904e','{"ids":["702p4fzk0382"],"state":"queued","created":true}',1.79563497997501873969e+09);
INSERT INTO "request" VALUES(0,'5dd8b19a84b143909b20621e2416b97f','3487a262bfbb3d5255e7d16da37f5b3ab7866aee411557c5bf3eeb5eab334b25','{"ids":["ea4y3be3dn3k"],"state":"queued","created":true}',1.79563498004435968401e+09);
INSERT INTO "request" VALUES(0,'671613a767aa41a596f2060fc52fee2a','fd77f8796158b9afd8f78ecba3acb8cda89d1e54fe3e3139498ff5b41896797d','{"ids":["8p3rdan3emmp"],"state":"queued","created":true}',1.7956349795722060204e+09);
INSERT INTO "request" VALUES(0,'834a1b73f7d74fc989ce706882f1bb3c','fefc336c9cb33b79ded3036f885b763129d8eb268104aef3b8f10a424bf7a32c','{"ids":["3maedwe0cf8h"],"state":"queued","created":true}',1.79563498010850834847e+09);
INSERT INTO "request" VALUES(0,'9ac3d74e55c2447d91fe8c4debb9d86c','f3edd9e4efb83e8e423645a98835525c06e89073c4694ea0a08ff8a62e2d90ef','{"ids":["8ddc38wyjhme"],"state":"queued","created":true}',1.79563497982318854336e+09);
INSERT INTO "request" VALUES(0,'9b78883cdfdd4738a2600ae8f0774d24','9205de3e29da252a527d717ca13a18411d385dbe14f6213f5831f1eebce77159','{"ids":["wjn6q127s2ba"],"state":"queued","created":true}',1.79563497911262702944e+09);
INSERT INTO "request" VALUES(0,'a7c3e26788c64628ac370740fa68902d','35ce4c189c80e36f910aa82a59dfc7f1d88068e6e484ab93ce0b5dc4464f1381','{"ids":["14r1cyn5eynd"],"state":"queued","created":true}',1.79563497993033170697e+09);
INSERT INTO "request" VALUES(0,'a80d43dd3339446cae276afa955d9cd2','2f3d639df3be5376a35188ae372bdb61252cef6244f584beb4fbba20c2278ae6','{"ids":["s9whmb2mfrkj"],"state":"queued","created":true}',1.79563497970639729503e+09);
INSERT INTO "request" VALUES(0,'b145c39c778945dd983aafa9234646f4','6da3b2ef595054af81c2b68f9e7e43d218a8e17186a72ba8b7b0c752bc183b79','{"ids":["wzzn6ztk5thw"],"state":"queued","created":true}',1.79563497895967054364e+09);
INSERT INTO "request" VALUES(0,'c4d2840056484d78b36f4ccbf5874f0e','be98f9eed89d09204992a2805c5f7db7789a313a1addf0b7db2dc8f6e60cb909','{"ids":["3zksk53nn6z5"],"state":"queued","created":true}',1.79563497903414511685e+09);
INSERT INTO "request" VALUES(0,'e58af090329244f8a0d12dfeb30cad24','cee3ffec52317cd8bdddc3af8776830c40c31492a41ab452077b65b539dcf67b','{"ids":["rnrfgh50p6gg"],"state":"queued","created":true}',1.79563497907506322863e+09);
CREATE TABLE result (job_seq INTEGER PRIMARY KEY REFERENCES job(seq) ON DELETE CASCADE, data BLOB NOT NULL) STRICT;
INSERT INTO "result" VALUES(4,X'7B226576656E223A31302C226F6464223A382C226661696C6564223A327D');
CREATE TABLE run (job_seq INTEGER NOT NULL REFERENCES job(seq) ON DELETE CASCADE, number INTEGER NOT NULL, data TEXT NOT NULL, PRIMARY KEY (job_seq, number)) STRICT, WITHOUT ROWID;
CREATE TABLE spec (job_seq INTEGER PRIMARY KEY REFERENCES job(seq) ON DELETE CASCADE, data TEXT NOT NULL) STRICT;
CREATE INDEX job_dispatch ON job (queue, state, run_open, priority DESC, seq) WHERE state = 'queued' AND run_open = 0;
CREATE INDEX job_open ON job (run_open) WHERE run_open = 1;
CREATE INDEX job_due ON job (due_at) WHERE state = 'scheduled';
CREATE INDEX job_scheduled ON job (queue, state) WHERE state = 'scheduled';
CREATE UNIQUE INDEX job_key ON job (key) WHERE key IS NOT NULL AND state IN ('scheduled', 'queued', 'running', 'cancelling');
CREATE INDEX job_ended ON job (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX job_ended_in ON job (queue, state) WHERE state IN ('succeeded', 'failed', 'cancelled');
CREATE INDEX failed_item_in_order ON failed_item (job_seq, batch, ordinal, key);
CREATE INDEX label_by_job ON label (job_seq);
CREATE VIEW job_status AS
SELECT id, name, kind, state, queue, priority, key, run_number AS attempt,
  done, total, note, failed_items, tallies,
  strftime('%Y-%m-%dT%H:%M:%fZ', created_at, 'unixepoch') AS created_at,
  strftime('%Y-%m-%dT%H:%M:%fZ', started_at, 'unixepoch') AS started_at,
  strftime('%Y-%m-%dT%H:%M:%fZ', ended_at, 'unixepoch') AS ended_at,
  strftime('%Y-%m-%dT%H:%M:%fZ', due_at, 'unixepoch') AS due_at,
  outcome, reason, checkpoint_seq,
  strftime('%Y-%m-%dT%H:%M:%fZ', checkpoint_at, 'unixepoch') AS checkpoint_at
FROM job;
CREATE VIEW stuck_runs AS
SELECT id, name, run_number AS run, state, run_seat AS seat,
  strftime('%Y-%m-%dT%H:%M:%fZ', run_since, 'unixepoch') AS started_at,
  strftime('%Y-%m-%dT%H:%M:%fZ', checkpoint_at, 'unixepoch') AS checkpoint_at,
  round((julianday('now') - 2440587.5) * 86400.0 - max(run_since, coalesce(seen_at, 0)), 1) AS silent_for_s,
  done, total, note
FROM job WHERE run_open = 1;
COMMIT;
PRAGMA application_id = 1246708299;
PRAGMA user_version = 1;
