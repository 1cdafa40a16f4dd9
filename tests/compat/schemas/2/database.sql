BEGIN TRANSACTION;
CREATE TABLE checkpoint (job_seq INTEGER PRIMARY KEY REFERENCES job(seq) ON DELETE CASCADE, seq INTEGER NOT NULL, cursor BLOB NOT NULL, state BLOB NOT NULL) STRICT;
INSERT INTO "checkpoint" VALUES(4,13,X'7B2262617463686573223A7B2230223A7B22636F756E74223A32302C2274616C6C696573223A7B226576656E223A31302C226F6464223A382C226661696C6564223A327D2C22636F6D706C657465223A747275657D7D7D',X'6E756C6C');
INSERT INTO "checkpoint" VALUES(5,25,X'7B2262617463686573223A7B2230223A7B22636F756E74223A34302C2274616C6C696573223A7B226576656E223A32302C226F6464223A31362C226661696C6564223A347D2C22636F6D706C657465223A747275657D7D7D',X'6E756C6C');
INSERT INTO "checkpoint" VALUES(6,10,X'7B2262617463686573223A7B2230223A7B22636F756E74223A31372C226C617374223A223136222C2274616C6C696573223A7B226576656E223A392C226F6464223A362C226661696C6564223A327D7D7D7D',X'6E756C6C');
INSERT INTO "checkpoint" VALUES(7,10,X'7B2262617463686573223A7B2230223A7B22636F756E74223A31372C226C617374223A223136222C2274616C6C696573223A7B226576656E223A392C226F6464223A362C226661696C6564223A327D7D7D7D',X'6E756C6C');
CREATE TABLE environment (hash TEXT PRIMARY KEY, data BLOB NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO "environment" VALUES('31c81a6a63b0e92cc0dd8bfd8cc3b18fc9ec0ea9bc45b35786c510a070b7cbcd',X'7B224C414E47223A22432E5554462D38222C2250415448223A222F7573722F62696E3A2F62696E227D');
CREATE TABLE failed_item (job_seq INTEGER NOT NULL REFERENCES job(seq) ON DELETE CASCADE, batch TEXT NOT NULL, key TEXT NOT NULL, ordinal INTEGER NOT NULL, error TEXT NOT NULL, run INTEGER NOT NULL, at REAL NOT NULL, PRIMARY KEY (job_seq, batch, key)) STRICT, WITHOUT ROWID;
INSERT INTO "failed_item" VALUES(4,'0','13',13,'{"type":"ValueError","message":"item 13 is bad","traceback":"Traceback (most recent call last):\n  File \"@HOME@/jobs.py\", line 12, in one\n    raise ValueError(f\"item {item} is bad\")\nValueError: item 13 is bad\n"}',1,1.79563484236572551725e+09);
INSERT INTO "failed_item" VALUES(4,'0','3',3,'{"type":"ValueError","message":"item 3 is bad","traceback":"Traceback (most recent call last):\n  File \"@HOME@/jobs.py\", line 12, in one\n    raise ValueError(f\"item {item} is bad\")\nValueError: item 3 is bad\n"}',1,1.79563484235047483451e+09);
INSERT INTO "failed_item" VALUES(5,'0','13',13,'{"type":"ValueError","message":"item 13 is bad","traceback":"Traceback (most recent call last):\n  File \"@HOME@/jobs.py\", line 12, in one\n    raise ValueError(f\"item {item} is bad\")\nValueError: item 13 is bad\n"}',1,1.79563484242751598357e+09);
INSERT INTO "failed_item" VALUES(5,'0','23',23,'{"type":"ValueError","message":"item 23 is bad","traceback":"Traceback (most recent call last):\n  File \"@HOME@/jobs.py\", line 12, in one\n    raise ValueError(f\"item {item} is bad\")\nValueError: item 23 is bad\n"}',1,1.79563484245163130755e+09);
INSERT INTO "failed_item" VALUES(5,'0','3',3,'{"type":"ValueError","message":"item 3 is bad","traceback":"Traceback (most recent call last):\n  File \"@HOME@/jobs.py\", line 12, in one\n    raise ValueError(f\"item {item} is bad\")\nValueError: item 3 is bad\n"}',1,1.79563484241406321525e+09);
INSERT INTO "failed_item" VALUES(5,'0','33',33,'{"type":"ValueError","message":"item 33 is bad","traceback":"Traceback (most recent call last):\n  File \"@HOME@/jobs.py\", line 12, in one\n    raise ValueError(f\"item {item} is bad\")\nValueError: item 33 is bad\n"}',1,1.79563484247241187093e+09);
INSERT INTO "failed_item" VALUES(6,'0','13',13,'{"type":"ValueError","message":"item 13 is bad","traceback":"Traceback (most recent call last):\n  File \"@HOME@/jobs.py\", line 12, in one\n    raise ValueError(f\"item {item} is bad\")\nValueError: item 13 is bad\n"}',1,1.79563484252043390277e+09);
INSERT INTO "failed_item" VALUES(6,'0','3',3,'{"type":"ValueError","message":"item 3 is bad","traceback":"Traceback (most recent call last):\n  File \"@HOME@/jobs.py\", line 12, in one\n    raise ValueError(f\"item {item} is bad\")\nValueError: item 3 is bad\n"}',1,1.79563484250356554983e+09);
INSERT INTO "failed_item" VALUES(7,'0','13',13,'{"type":"ValueError","message":"item 13 is bad","traceback":"Traceback (most recent call last):\n  File \"@HOME@/jobs.py\", line 12, in one\n    raise ValueError(f\"item {item} is bad\")\nValueError: item 13 is bad\n"}',1,1.79563484257552671429e+09);
INSERT INTO "failed_item" VALUES(7,'0','3',3,'{"type":"ValueError","message":"item 3 is bad","traceback":"Traceback (most recent call last):\n  File \"@HOME@/jobs.py\", line 12, in one\n    raise ValueError(f\"item {item} is bad\")\nValueError: item 3 is bad\n"}',1,1.79563484256067562106e+09);
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
, key_slot INTEGER NOT NULL DEFAULT 0, lock TEXT, blocked TEXT) STRICT
;
INSERT INTO "job" VALUES(1,'0ms6h5a8735f','succeeded','command','default',0,NULL,0,'31c81a6a63b0e92cc0dd8bfd8cc3b18fc9ec0ea9bc45b35786c510a070b7cbcd',1.79563484161317420007e+09,1.79563484161317420007e+09,'succeeded',NULL,1.79563484164135289192e+09,1.79563484164768552781e+09,0,0,NULL,'succeeded',NULL,NULL,1,0,1,'sb055e7d9',1.79563484164135289192e+09,'{"number":1,"fence":1,"state":"ended","seat":"sb055e7d9","epoch":1,"cookie":"dbf57ff90a5137e74360e3f82b151e54","claimed_at":1795634841.6393492,"started_at":1795634841.641353,"began":{"boot_id":"49b9b778-0b75-47bb-b438-638f55666ff5","monotonic":24107.889995586},"ended_at":1795634841.6476855,"outcome":"succeeded","status":0,"reason":null,"usage":{"user_s":0.0012,"system_s":0.0,"max_rss_kib":9360},"identity":{"boot_id":"49b9b778-0b75-47bb-b438-638f55666ff5","pid":10495,"start_ticks":2410789,"pidfd_inode":2273959},"lock_token":null,"fenced":null}',0,NULL,NULL,NULL,0,NULL,0,NULL,5,'{"command":["sh","-c","echo out; echo err >&2"],"name":"succeeded","labels":{"team":"a"},"cwd":"@HOME@"}',0,NULL,NULL);
INSERT INTO "job" VALUES(2,'vge2wn6c0hyr','failed','command','default',5,'nightly',0,'31c81a6a63b0e92cc0dd8bfd8cc3b18fc9ec0ea9bc45b35786c510a070b7cbcd',1.79563484166108560564e+09,1.79563484166108560564e+09,'failed',NULL,1.79563484167055511476e+09,1.79563484167550802233e+09,0,0,NULL,'failed','exit code 3',NULL,1,0,1,'sb055e7d9',1.79563484167055511476e+09,'{"number":1,"fence":1,"state":"ended","seat":"sb055e7d9","epoch":1,"cookie":"9a96d76c216c5d32a5d4de0759d1a2ed","claimed_at":1795634841.6660676,"started_at":1795634841.670555,"began":{"boot_id":"49b9b778-0b75-47bb-b438-638f55666ff5","monotonic":24107.919214686},"ended_at":1795634841.675508,"outcome":"failed","status":768,"reason":"exit code 3","usage":{"user_s":0.001038,"system_s":0.0,"max_rss_kib":9360},"identity":{"boot_id":"49b9b778-0b75-47bb-b438-638f55666ff5","pid":10496,"start_ticks":2410792,"pidfd_inode":2273960},"lock_token":null,"fenced":null}',0,NULL,NULL,NULL,0,NULL,0,NULL,9,'{"command":["sh","-c","exit 3"],"name":"failed","key":"nightly","priority":5,"cwd":"@HOME@"}',0,NULL,NULL);
INSERT INTO "job" VALUES(3,'d7ed9wdy68z8','scheduled','command','default',0,NULL,0,'31c81a6a63b0e92cc0dd8bfd8cc3b18fc9ec0ea9bc45b35786c510a070b7cbcd',1.79563484168542289737e+09,1.79563484168542289737e+09,'scheduled',1.79563808733051729206e+09,1.795634841690955162e+09,NULL,1,0,NULL,'failed','exit code 1',NULL,1,0,1,'sb055e7d9',1.795634841690955162e+09,'{"number":1,"fence":1,"state":"ended","seat":"sb055e7d9","epoch":1,"cookie":"3f018482bc3367042b97d485c12bcff1","claimed_at":1795634841.6880624,"started_at":1795634841.6909552,"began":{"boot_id":"49b9b778-0b75-47bb-b438-638f55666ff5","monotonic":24107.939618321},"ended_at":1795634841.699571,"outcome":"failed","status":256,"reason":"exit code 1","usage":{"user_s":0.001002,"system_s":0.0,"max_rss_kib":9360},"identity":{"boot_id":"49b9b778-0b75-47bb-b438-638f55666ff5","pid":10497,"start_ticks":2410794,"pidfd_inode":2273961},"lock_token":null,"fenced":null}',0,NULL,NULL,NULL,0,NULL,0,NULL,13,'{"command":["false"],"name":"scheduled","retries":1,"backoff_s":31536000.0,"cwd":"@HOME@"}',0,NULL,NULL);
INSERT INTO "job" VALUES(4,'b3a6ry4xzgae','with_failed_items','function','default',0,NULL,0,'31c81a6a63b0e92cc0dd8bfd8cc3b18fc9ec0ea9bc45b35786c510a070b7cbcd',1.79563484171845531463e+09,1.79563484171845531463e+09,'succeeded',NULL,1.79563484226360440252e+09,1.79563484238509941102e+09,0,0,NULL,'succeeded',NULL,NULL,1,0,1,'s99f5a931',1.79563484226360440252e+09,'{"number":1,"fence":1,"state":"ended","seat":"s99f5a931","epoch":1,"cookie":"695f8524b396782e8e1df875a691e443","claimed_at":1795634842.260174,"started_at":1795634842.2636044,"began":{"boot_id":"49b9b778-0b75-47bb-b438-638f55666ff5","monotonic":24108.512266408},"ended_at":1795634842.3850994,"outcome":"succeeded","status":null,"reason":null,"usage":null,"identity":null,"lock_token":null,"fenced":null}',20,20,NULL,'{"even":10,"odd":8,"failed":2}',2,1.795634842380469799e+09,13,1.795634842380469799e+09,17,'{"function":"jobs:batch","arguments":{"log":"@HOME@/with_failed_items.items","gate":"@HOME@/gate","number":20,"hold_at":-1},"name":"with_failed_items","cwd":"@HOME@","python":"@PYTHON@"}',0,NULL,NULL);
INSERT INTO "job" VALUES(5,'9wag5pxj9xmg','failed_at_the_end','function','default',0,NULL,0,'31c81a6a63b0e92cc0dd8bfd8cc3b18fc9ec0ea9bc45b35786c510a070b7cbcd',1.7956348423964588642e+09,1.7956348423964588642e+09,'failed',NULL,1.79563484240395736689e+09,1.79563484248878288268e+09,0,0,NULL,'failed','RuntimeError: not yet','{"type":"RuntimeError","message":"not yet","traceback":"Traceback (most recent call last):\n  File \"@HOME@/jobs.py\", line 16, in batch\n    raise RuntimeError(\"not yet\")\nRuntimeError: not yet\n"}',1,0,1,'s99f5a931',1.79563484240395736689e+09,'{"number":1,"fence":1,"state":"ended","seat":"s99f5a931","epoch":1,"cookie":"ec58ca8cda59b5b19d31346e6148e4fc","claimed_at":1795634842.4000611,"started_at":1795634842.4039574,"began":{"boot_id":"49b9b778-0b75-47bb-b438-638f55666ff5","monotonic":24108.652620483},"ended_at":1795634842.488783,"outcome":"failed","status":null,"reason":"RuntimeError: not yet","usage":null,"identity":null,"lock_token":null,"fenced":null}',40,40,NULL,'{"even":20,"odd":16,"failed":4}',4,1.79563484248419094084e+09,25,1.79563484248419094084e+09,21,'{"function":"jobs:batch","arguments":{"log":"@HOME@/failed_at_the_end.items","gate":"@HOME@/gate","hold_at":-1,"fail":true},"name":"failed_at_the_end","cwd":"@HOME@","python":"@PYTHON@"}',0,NULL,NULL);
INSERT INTO "job" VALUES(6,'dkkzykcxq8ds','cancelled_batch','function','default',0,NULL,0,'31c81a6a63b0e92cc0dd8bfd8cc3b18fc9ec0ea9bc45b35786c510a070b7cbcd',1.79563484249270725249e+09,1.79563484249270725249e+09,'cancelled',NULL,1.7956348425007839203e+09,1.79563484253727626794e+09,0,0,NULL,'cancelled','cancelled',NULL,1,0,1,'s99f5a931',1.7956348425007839203e+09,'{"number":1,"fence":1,"state":"ended","seat":"s99f5a931","epoch":1,"cookie":"efda06925a223708b1f7c4d265b9526a","claimed_at":1795634842.4994247,"started_at":1795634842.500784,"began":{"boot_id":"49b9b778-0b75-47bb-b438-638f55666ff5","monotonic":24108.749446034},"ended_at":1795634842.5372763,"outcome":"cancelled","status":null,"reason":"cancelled","usage":null,"identity":null,"lock_token":null,"fenced":null}',17,40,NULL,'{"even":9,"odd":6,"failed":2}',2,1.79563484252437114722e+09,10,1.79563484252437114722e+09,26,'{"function":"jobs:batch","arguments":{"log":"@HOME@/cancelled_batch.items","gate":"@HOME@/gate"},"name":"cancelled_batch","cwd":"@HOME@","python":"@PYTHON@"}',0,NULL,NULL);
INSERT INTO "job" VALUES(7,'5bqryc5q3as1','finished_alone','function','default',0,NULL,0,'31c81a6a63b0e92cc0dd8bfd8cc3b18fc9ec0ea9bc45b35786c510a070b7cbcd',1.79563484254409241672e+09,1.79563484254409241672e+09,'running',NULL,1.79563484255581879613e+09,NULL,0,0,NULL,NULL,NULL,NULL,1,1,1,'s99f5a931',1.79563484255581879613e+09,'{"number":1,"fence":1,"state":"running","seat":"s99f5a931","epoch":1,"cookie":"2a69bb288f599e0fd493062646af015f","claimed_at":1795634842.5480728,"started_at":1795634842.5558188,"began":{"boot_id":"49b9b778-0b75-47bb-b438-638f55666ff5","monotonic":24108.804473828},"ended_at":null,"outcome":null,"status":null,"reason":null,"usage":null,"identity":null,"lock_token":null,"fenced":null}',17,40,NULL,'{"even":9,"odd":6,"failed":2}',2,1.79563484258261251442e+09,10,1.79563484258261251442e+09,28,'{"function":"jobs:batch","arguments":{"log":"@HOME@/finished_alone.items","gate":"@HOME@/gate"},"name":"finished_alone","cwd":"@HOME@","python":"@PYTHON@"}',0,NULL,NULL);
INSERT INTO "job" VALUES(8,'cdhejnar7es6','running','command','default',0,NULL,0,'31c81a6a63b0e92cc0dd8bfd8cc3b18fc9ec0ea9bc45b35786c510a070b7cbcd',1.79563484259216904646e+09,1.79563484259216904646e+09,'running',NULL,1795634842.60152,NULL,0,0,NULL,NULL,NULL,NULL,1,1,1,'sb055e7d9',1795634842.60152,'{"number":1,"fence":1,"state":"running","seat":"sb055e7d9","epoch":1,"cookie":"451ae0d410df25f113017cf6ec3dbd8d","claimed_at":1795634842.5999868,"started_at":1795634842.60152,"began":{"boot_id":"49b9b778-0b75-47bb-b438-638f55666ff5","monotonic":24108.850184355},"ended_at":null,"outcome":null,"status":null,"reason":null,"usage":null,"identity":{"boot_id":"49b9b778-0b75-47bb-b438-638f55666ff5","pid":10502,"start_ticks":2410885,"pidfd_inode":2273966},"lock_token":null,"fenced":null}',0,NULL,NULL,NULL,0,NULL,0,NULL,30,'{"command":["sleep","600"],"name":"running","cwd":"@HOME@"}',0,NULL,NULL);
INSERT INTO "job" VALUES(9,'45hbk1afmj83','cancelling','command','default',0,NULL,0,'31c81a6a63b0e92cc0dd8bfd8cc3b18fc9ec0ea9bc45b35786c510a070b7cbcd',1.79563484262703299517e+09,1.79563484262703299517e+09,'cancelling',NULL,1.79563484265413880348e+09,NULL,0,0,'cancelled',NULL,NULL,NULL,1,1,1,'s4438edca',1.79563484265413880348e+09,'{"number":1,"fence":1,"state":"running","seat":"s4438edca","epoch":1,"cookie":"747ace59d8a29ec2cbd394214a142369","claimed_at":1795634842.6463926,"started_at":1795634842.6541388,"began":{"boot_id":"49b9b778-0b75-47bb-b438-638f55666ff5","monotonic":24108.902812939},"ended_at":null,"outcome":null,"status":null,"reason":null,"usage":null,"identity":{"boot_id":"49b9b778-0b75-47bb-b438-638f55666ff5","pid":10505,"start_ticks":2410890,"pidfd_inode":2273969},"lock_token":null,"fenced":null}',0,NULL,NULL,NULL,0,NULL,0,NULL,33,'{"command":["sh","-c","trap '''' TERM; while :; do sleep 1; done"],"name":"cancelling","grace_s":3600.0,"cwd":"@HOME@"}',0,NULL,NULL);
INSERT INTO "job" VALUES(10,'jtx73090a5ya','running_too','command','default',0,NULL,0,'31c81a6a63b0e92cc0dd8bfd8cc3b18fc9ec0ea9bc45b35786c510a070b7cbcd',1.79563484269109702108e+09,1.79563484269109702108e+09,'running',NULL,1.79563484272711515422e+09,NULL,0,0,NULL,NULL,NULL,NULL,1,1,1,'sad021595',1.79563484272711515422e+09,'{"number":1,"fence":1,"state":"running","seat":"sad021595","epoch":1,"cookie":"d4ddd9c227f12867e04fd59df85fc4f7","claimed_at":1795634842.7197678,"started_at":1795634842.7271152,"began":{"boot_id":"49b9b778-0b75-47bb-b438-638f55666ff5","monotonic":24108.975786237},"ended_at":null,"outcome":null,"status":null,"reason":null,"usage":null,"identity":{"boot_id":"49b9b778-0b75-47bb-b438-638f55666ff5","pid":10509,"start_ticks":2410898,"pidfd_inode":2273973},"lock_token":null,"fenced":null}',0,NULL,NULL,NULL,0,NULL,0,NULL,35,'{"command":["sleep","600"],"name":"running_too","on_lost":"resume","cwd":"@HOME@"}',0,NULL,NULL);
INSERT INTO "job" VALUES(11,'w7qzpvfjc4k2','queued','command','default',0,NULL,0,'31c81a6a63b0e92cc0dd8bfd8cc3b18fc9ec0ea9bc45b35786c510a070b7cbcd',1.79563484276419329643e+09,1.79563484276419329643e+09,'queued',NULL,NULL,NULL,0,0,NULL,NULL,NULL,NULL,1,1,1,'sb055e7d9',1.7956348427766492367e+09,'{"number":1,"fence":1,"state":"starting","seat":"sb055e7d9","epoch":1,"cookie":"7c3cefb7f44b868ee9c9fd72a9700d2a","claimed_at":1795634842.7766492,"started_at":null,"began":null,"ended_at":null,"outcome":null,"status":null,"reason":null,"usage":null,"identity":null,"lock_token":null,"fenced":null}',0,NULL,NULL,NULL,0,NULL,0,NULL,36,'{"command":["sh","-c","echo at last"],"name":"queued","cwd":"@HOME@"}',0,NULL,NULL);
CREATE TABLE journal (seq INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, job TEXT, run INTEGER, uid INTEGER, gid INTEGER, pid INTEGER, data TEXT, prev INTEGER NOT NULL) STRICT;
INSERT INTO "journal" VALUES(1,1.79563484147258043289e+09,'daemon_started',NULL,NULL,NULL,NULL,NULL,'{"version":"0.1.0","pid":10261,"epoch":1,"boot_id":"49b9b778-0b75-47bb-b438-638f55666ff5"}',0);
INSERT INTO "journal" VALUES(2,1.79563484161317420007e+09,'submitted','0ms6h5a8735f',NULL,0,0,9527,'{"queue":"default"}',0);
INSERT INTO "journal" VALUES(3,1.79563484164135289192e+09,'started','0ms6h5a8735f',1,NULL,NULL,NULL,'{"seat":"sb055e7d9"}',2);
INSERT INTO "journal" VALUES(4,1.79563484164768552781e+09,'ended','0ms6h5a8735f',1,NULL,NULL,NULL,'{"outcome":"succeeded","status":0}',3);
INSERT INTO "journal" VALUES(5,1.79563484164768552781e+09,'succeeded','0ms6h5a8735f',1,NULL,NULL,NULL,NULL,4);
INSERT INTO "journal" VALUES(6,1.79563484166108560564e+09,'submitted','vge2wn6c0hyr',NULL,0,0,9527,'{"queue":"default"}',0);
INSERT INTO "journal" VALUES(7,1.79563484167055511476e+09,'started','vge2wn6c0hyr',1,NULL,NULL,NULL,'{"seat":"sb055e7d9"}',6);
INSERT INTO "journal" VALUES(8,1.79563484167550802233e+09,'ended','vge2wn6c0hyr',1,NULL,NULL,NULL,'{"outcome":"failed","status":768,"reason":"exit code 3"}',7);
INSERT INTO "journal" VALUES(9,1.79563484167550802233e+09,'failed','vge2wn6c0hyr',1,NULL,NULL,NULL,NULL,8);
INSERT INTO "journal" VALUES(10,1.79563484168542289737e+09,'submitted','d7ed9wdy68z8',NULL,0,0,9527,'{"queue":"default"}',0);
INSERT INTO "journal" VALUES(11,1.795634841690955162e+09,'started','d7ed9wdy68z8',1,NULL,NULL,NULL,'{"seat":"sb055e7d9"}',10);
INSERT INTO "journal" VALUES(12,1.79563484169957089425e+09,'ended','d7ed9wdy68z8',1,NULL,NULL,NULL,'{"outcome":"failed","status":256,"reason":"exit code 1"}',11);
INSERT INTO "journal" VALUES(13,1.79563484169957089425e+09,'retry','d7ed9wdy68z8',1,NULL,NULL,NULL,'{"due_at":1795638087.3305173,"attempts":1}',12);
INSERT INTO "journal" VALUES(14,1.79563484171845531463e+09,'submitted','b3a6ry4xzgae',NULL,0,0,9527,'{"queue":"default"}',0);
INSERT INTO "journal" VALUES(15,1.79563484226360440252e+09,'started','b3a6ry4xzgae',1,NULL,NULL,NULL,'{"seat":"s99f5a931"}',14);
INSERT INTO "journal" VALUES(16,1.79563484238509941102e+09,'ended','b3a6ry4xzgae',1,NULL,NULL,NULL,'{"outcome":"succeeded"}',15);
INSERT INTO "journal" VALUES(17,1.79563484238509941102e+09,'succeeded','b3a6ry4xzgae',1,NULL,NULL,NULL,NULL,16);
INSERT INTO "journal" VALUES(18,1.7956348423964588642e+09,'submitted','9wag5pxj9xmg',NULL,0,0,9527,'{"queue":"default"}',0);
INSERT INTO "journal" VALUES(19,1.79563484240395736689e+09,'started','9wag5pxj9xmg',1,NULL,NULL,NULL,'{"seat":"s99f5a931"}',18);
INSERT INTO "journal" VALUES(20,1.79563484248878288268e+09,'ended','9wag5pxj9xmg',1,NULL,NULL,NULL,'{"outcome":"failed","reason":"RuntimeError: not yet"}',19);
INSERT INTO "journal" VALUES(21,1.79563484248878288268e+09,'failed','9wag5pxj9xmg',1,NULL,NULL,NULL,NULL,20);
INSERT INTO "journal" VALUES(22,1.79563484249270725249e+09,'submitted','dkkzykcxq8ds',NULL,0,0,9527,'{"queue":"default"}',0);
INSERT INTO "journal" VALUES(23,1.7956348425007839203e+09,'started','dkkzykcxq8ds',1,NULL,NULL,NULL,'{"seat":"s99f5a931"}',22);
INSERT INTO "journal" VALUES(24,1.79563484253210973737e+09,'cancel_requested','dkkzykcxq8ds',1,0,0,9527,'{"stop":"cancelled"}',23);
INSERT INTO "journal" VALUES(25,1.79563484253727626794e+09,'ended','dkkzykcxq8ds',1,NULL,NULL,NULL,'{"outcome":"cancelled","reason":"cancelled"}',24);
INSERT INTO "journal" VALUES(26,1.79563484253727626794e+09,'cancelled','dkkzykcxq8ds',1,NULL,NULL,NULL,NULL,25);
INSERT INTO "journal" VALUES(27,1.79563484254409241672e+09,'submitted','5bqryc5q3as1',NULL,0,0,9527,'{"queue":"default"}',0);
INSERT INTO "journal" VALUES(28,1.79563484255581879613e+09,'started','5bqryc5q3as1',1,NULL,NULL,NULL,'{"seat":"s99f5a931"}',27);
INSERT INTO "journal" VALUES(29,1.79563484259216904646e+09,'submitted','cdhejnar7es6',NULL,0,0,9527,'{"queue":"default"}',0);
INSERT INTO "journal" VALUES(30,1795634842.60152,'started','cdhejnar7es6',1,NULL,NULL,NULL,'{"seat":"sb055e7d9"}',29);
INSERT INTO "journal" VALUES(31,1.79563484262703299517e+09,'submitted','45hbk1afmj83',NULL,0,0,9527,'{"queue":"default"}',0);
INSERT INTO "journal" VALUES(32,1.79563484265413880348e+09,'started','45hbk1afmj83',1,NULL,NULL,NULL,'{"seat":"s4438edca"}',31);
INSERT INTO "journal" VALUES(33,1.79563484267913651458e+09,'cancel_requested','45hbk1afmj83',1,0,0,9527,'{"stop":"cancelled"}',32);
INSERT INTO "journal" VALUES(34,1.79563484269109702108e+09,'submitted','jtx73090a5ya',NULL,0,0,9527,'{"queue":"default"}',0);
INSERT INTO "journal" VALUES(35,1.79563484272711515422e+09,'started','jtx73090a5ya',1,NULL,NULL,NULL,'{"seat":"sad021595"}',34);
INSERT INTO "journal" VALUES(36,1.79563484276419329643e+09,'submitted','w7qzpvfjc4k2',NULL,0,0,9527,'{"queue":"default"}',0);
CREATE TABLE label (key TEXT NOT NULL, value TEXT NOT NULL, job_seq INTEGER NOT NULL REFERENCES job(seq) ON DELETE CASCADE, PRIMARY KEY (key, value, job_seq)) STRICT, WITHOUT ROWID;
INSERT INTO "label" VALUES('team','a',1);
CREATE TABLE lock (name TEXT PRIMARY KEY, token INTEGER NOT NULL, held INTEGER NOT NULL, data TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO "meta" VALUES('clean','0');
INSERT INTO "meta" VALUES('database_epoch','d6128819391a13eb');
INSERT INTO "meta" VALUES('epoch','1');
CREATE TABLE request (uid INTEGER NOT NULL, id TEXT NOT NULL, digest TEXT NOT NULL, answer TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (uid, id)) STRICT, WITHOUT ROWID;
INSERT INTO "request" VALUES(0,'04bddd2e9423464589c8262fc132520b','b06d9727ddaf6574e161923a4b9db1eafd4b61d88eec51d853a8e2ddd4206e7a','{"ids":["9wag5pxj9xmg"],"state":"queued","created":true}',1.7956348423964588642e+09);
INSERT INTO "request" VALUES(0,'15585549b2374911836d192a346e54cb','23098b82a338e752ee832867d84afbf2dea0978d76c9953c150d45e3d72f7600','{"ids":["5bqryc5q3as1"],"state":"queued","created":true}',1.79563484254409241672e+09);
INSERT INTO "request" VALUES(0,'2bd638cbb13b4b80a99731a1aac29bdf','a8b062a76cddd155dbdc46b4a03be7cafb5c0b43a3ff84662e023e93f571f1a0','{"ids":["w7qzpvfjc4k2"],"state":"queued","created":true}',1.79563484276419329643e+09);
INSERT INTO "request" VALUES(0,'4549a58f3cca4d24b36b107679c2e406','9480f60582e0e0031db1c563725b973ce95c03fbd169751254b2673e3cffe1a5','{"ids":["vge2wn6c0hyr"],"state":"queued","created":true}',1.79563484166108560564e+09);
INSERT INTO "request" VALUES(0,'7867f335506e42098be198d2e5789742','6271b2970a82330e3f56990bf8ca2ebb01374a5cc69cad67d9fa05d613594d2c','{"ids":["dkkzykcxq8ds"],"state":"queued","created":true}',1.79563484249270725249e+09);
INSERT INTO "request" VALUES(0,'9642d0dd37f549159af3d9321ec8bab4','09fbbc8b9d41c8a2eea05ccfc4c9b5635f10c196a5f43f57c4ef73f4a5b71ed4','{"ids":["0ms6h5a8735f"],"state":"queued","created":true}',1.79563484161317420007e+09);
INSERT INTO "request" VALUES(0,'a03b737cbb05413d80e601dbbf473039','da4d4fca5dbb4f3f024ccf03652406e7b93ed7f963a5a0905cb19c5b5faab060','{"ids":["cdhejnar7es6"],"state":"queued","created":true}',1.79563484259216904646e+09);
INSERT INTO "request" VALUES(0,'ca3274f99ae5465c9d4635aace7180a9','bf944824f8f67af87995658acacf99163de1c40e4642455ccce47b847963bab2','{"ids":["b3a6ry4xzgae"],"state":"queued","created":true}',1.79563484171845531463e+09);
INSERT INTO "request" VALUES(0,'dcab6f42cb4b4cbe9e67bbca19da5a75','cacf1fbd8861636ba8581581d93135e76d078222c3d56834da8aa2f93bc680a0','{"ids":["d7ed9wdy68z8"],"state":"queued","created":true}',1.79563484168542289737e+09);
INSERT INTO "request" VALUES(0,'e5b60fea7f984a9e9c9b1d2c60350755','66ef92d3ab8247dbedea724bd346d61e96ddef29eecafee8003835f53e73ef1d','{"ids":["jtx73090a5ya"],"state":"queued","created":true}',1.79563484269109702108e+09);
INSERT INTO "request" VALUES(0,'e9f2c7156e29497ab8ccf312696118b2','afdea7bd3a9de76a7c4c7224e952ee6902be1c567e1070aefc23946dc669e912','{"ids":["45hbk1afmj83"],"state":"queued","created":true}',1.79563484262703299517e+09);
CREATE TABLE result (job_seq INTEGER PRIMARY KEY REFERENCES job(seq) ON DELETE CASCADE, data BLOB NOT NULL) STRICT;
INSERT INTO "result" VALUES(4,X'7B226576656E223A31302C226F6464223A382C226661696C6564223A327D');
CREATE TABLE run (job_seq INTEGER NOT NULL REFERENCES job(seq) ON DELETE CASCADE, number INTEGER NOT NULL, data TEXT NOT NULL, PRIMARY KEY (job_seq, number)) STRICT, WITHOUT ROWID;
CREATE TABLE spec (job_seq INTEGER PRIMARY KEY REFERENCES job(seq) ON DELETE CASCADE, data TEXT NOT NULL) STRICT;
CREATE TABLE step (job_seq INTEGER NOT NULL REFERENCES job(seq) ON DELETE CASCADE, ordinal INTEGER NOT NULL, name TEXT NOT NULL, result BLOB NOT NULL, at REAL NOT NULL, PRIMARY KEY (job_seq, ordinal)) STRICT, WITHOUT ROWID;
CREATE INDEX job_open ON job (run_open) WHERE run_open = 1;
CREATE INDEX job_due ON job (due_at) WHERE state = 'scheduled';
CREATE INDEX job_scheduled ON job (queue, state) WHERE state = 'scheduled';
CREATE INDEX job_ended ON job (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX job_ended_in ON job (queue, state) WHERE state IN ('succeeded', 'failed', 'cancelled');
CREATE INDEX failed_item_in_order ON failed_item (job_seq, batch, ordinal, key);
CREATE INDEX label_by_job ON label (job_seq);
CREATE VIEW stuck_runs AS
SELECT id, name, run_number AS run, state, run_seat AS seat,
  strftime('%Y-%m-%dT%H:%M:%fZ', run_since, 'unixepoch') AS started_at,
  strftime('%Y-%m-%dT%H:%M:%fZ', checkpoint_at, 'unixepoch') AS checkpoint_at,
  round((julianday('now') - 2440587.5) * 86400.0 - max(run_since, coalesce(seen_at, 0)), 1) AS silent_for_s,
  done, total, note
FROM job WHERE run_open = 1;
CREATE INDEX job_dispatch ON job (queue, state, run_open, blocked, priority DESC, seq) WHERE state = 'queued' AND run_open = 0 AND blocked IS NULL;
CREATE INDEX job_blocked ON job (queue, state, run_open, blocked) WHERE state = 'queued' AND run_open = 0 AND blocked IS NOT NULL;
CREATE INDEX job_waiting ON job (lock, queue, priority DESC, seq) WHERE blocked = 'lock';
CREATE INDEX job_lock ON job (lock, seq) WHERE lock IS NOT NULL AND state IN ('scheduled', 'queued', 'running', 'cancelling');
CREATE UNIQUE INDEX job_key ON job (key, key_slot) WHERE key IS NOT NULL AND state IN ('scheduled', 'queued', 'running', 'cancelling');
CREATE INDEX lock_held ON lock (held, name) WHERE held = 1;
CREATE VIEW job_status AS
SELECT id, name, kind, state, queue, priority, key, run_number AS attempt,
  done, total, note, failed_items, tallies,
  strftime('%Y-%m-%dT%H:%M:%fZ', created_at, 'unixepoch') AS created_at,
  strftime('%Y-%m-%dT%H:%M:%fZ', started_at, 'unixepoch') AS started_at,
  strftime('%Y-%m-%dT%H:%M:%fZ', ended_at, 'unixepoch') AS ended_at,
  strftime('%Y-%m-%dT%H:%M:%fZ', due_at, 'unixepoch') AS due_at,
  outcome, reason, checkpoint_seq,
  strftime('%Y-%m-%dT%H:%M:%fZ', checkpoint_at, 'unixepoch') AS checkpoint_at
, lock, blocked
FROM job;
CREATE VIEW lock_status AS
SELECT name, token, held,
  data ->> '$.holder.type' AS holder,
  data ->> '$.holder.job' AS job,
  data ->> '$.holder.run' AS run,
  data ->> '$.holder.uid' AS uid,
  data ->> '$.holder.identity.pid' AS pid,
  strftime('%Y-%m-%dT%H:%M:%fZ', data ->> '$.acquired_at', 'unixepoch') AS acquired_at,
  (SELECT count(*) FROM job WHERE job.lock = lock.name AND blocked = 'lock') AS waiting
FROM lock;
COMMIT;
PRAGMA application_id = 1246708299;
PRAGMA user_version = 2;
