import type * as pulumi from "@pulumi/pulumi";

/** What a `PostgresWithBackups` is made from: the settings of docs/settings.md by their names. Only the database must be named. */
export interface PostgresWithBackupsArgs {
  /**
   * The names of all containers, volumes and networks begin with it. Two on one machine need two. Another
   * prefix means another, empty volume. @default the name of the component
   */
  namePrefix?: pulumi.Input<string>;
  /** The database, e.g. shop. A volume that does not hold it is refused. */
  databaseName: pulumi.Input<string>;
  /**
   * The major version of PostgreSQL. No version opens another one's files, so once there is data, a change
   * is refused until npx budgie upgrade has moved the data. docs/guide.md says more.
   */
  postgresVersion?: pulumi.Input<string>;
  /**
   * The password of the role budgie_user. When it is not set, one is generated once and kept encrypted in
   * the state. Changing it replaces no database container.
   */
  databasePassword?: pulumi.Input<string>;
  /**
   * The port of 127.0.0.1 on which the database can be reached from its own machine. When it is not set,
   * the database is not published.
   */
  databasePort?: pulumi.Input<number>;
  /**
   * The port of 127.0.0.1 on which the backup agent shows how things stand, as a page, as metrics for
   * Prometheus (/metrics) and as one answer for a probe (/healthz). It only reads, and shows no secret.
   * When it is not set, nothing is published. docs/status.md says more.
   */
  statusPort?: pulumi.Input<number>;
  /**
   * The key of the API's sessions. When it is not set, one is generated once and kept encrypted in the
   * state. Changing it ends every session.
   */
  sessionSecret?: pulumi.Input<string>;
  /** The port on which the API is published. */
  httpPort?: pulumi.Input<number>;
  /**
   * The address on which the API is published. 127.0.0.1 is enough for http://localhost and for a reverse
   * proxy with TLS on the same machine. 0.0.0.0 lets the whole network in, over plain HTTP and past the
   * machine's firewall.
   */
  httpAddress?: pulumi.Input<string>;
  /**
   * The application's image, e.g. registry.example.com/shop:1.4.2. It answers GET /health on port 3001, and
   * Node is in it. @default none; the program may have an application of its own
   */
  backendImage?: pulumi.Input<string>;
  /**
   * Gives the API its password and session key as DB_PASSWORD and SESSION_SECRET instead of files, for
   * images that cannot read files. Everyone who may call docker inspect on this machine can then read both.
   */
  backendSecretsInEnvironment?: pulumi.Input<boolean>;
  /**
   * How many backends serve the API side by side. More than one runs as a service of a Docker swarm, whose
   * updates leave nobody without an answer. httpAddress must then be 0.0.0.0. docs/backends.md says more.
   */
  backends?: pulumi.Input<number>;
  /**
   * The address of the pages that may call the API with cookies. When it is not set, the API's own address.
   */
  frontendUrl?: pulumi.Input<string>;
  /** Where backups are kept. A relative path begins in the program's folder. @default ./backups */
  backupDir?: pulumi.Input<string>;
  /**
   * How backups are written. sql is plain SQL; sql.gz and sql.zst are compressed; psql restores them. dump
   * is pg_dump's custom format, dir.tar its directory format in one file; pg_restore restores them, with
   * several connections.
   */
  backupFormat?: pulumi.Input<string>;
  /**
   * When backups are taken by themselves, as five cron fields (minute, hour, day of month, month, day of
   * week). When it is not set, backups are taken by hand only.
   */
  backupSchedule?: pulumi.Input<string>;
  /**
   * The time zone of backupSchedule, e.g. Europe/Berlin. When a change of the clock leaves out or repeats a
   * time, one backup is taken for it.
   */
  timezone?: pulumi.Input<string>;
  /**
   * A backup starts later than it is due, by up to this many seconds, so that several stacks do not start
   * at once. The delay of a run stays the same after every restart.
   */
  backupJitterSeconds?: pulumi.Input<number>;
  /**
   * All backups of this many of the newest days stay in backupDir. docs/retention.md has the rules. When
   * you lower the days, weeks or months, backups are deleted after the next one is taken.
   */
  keepDays?: pulumi.Input<number>;
  /** This many of the newest backups stay, however they are spread. */
  keepAtLeast?: pulumi.Input<number>;
  /** One backup of each of this many of the newest weeks stays. */
  keepWeeks?: pulumi.Input<number>;
  /** One backup of each of this many of the newest months stays. */
  keepMonths?: pulumi.Input<number>;
  /**
   * Keeps the database's write-ahead log as well. You can then put the database back as it was at any
   * second of the days that keepDays says. The log takes up to as much space again as the database writes
   * in that time; docs/point-in-time.md says more.
   */
  pointInTime?: pulumi.Input<boolean>;
  /**
   * An address that is told of every scheduled backup when it begins, when it has succeeded (file, manifest
   * and every copy) and when it has failed, as Healthchecks.io and Uptime Kuma take it. They call you when
   * a success stays away. docs/status.md says more.
   */
  heartbeatUrl?: pulumi.Input<string>;
  /**
   * Who is told when something is wrong, and when it is right again. One address or several, with spaces
   * between them, of ntfy, Slack, Discord, Healthchecks.io, Uptime Kuma, mail (smtps://), or anything that
   * takes JSON. docs/status.md says more.
   */
  alertUrl?: pulumi.Input<string>;
  /**
   * The container engine, e.g. unix:///run/podman/podman.sock or ssh://user@host. When it is not set, the
   * stack finds one.
   */
  engineHost?: pulumi.Input<string>;
  /**
   * How many seconds PostgreSQL gets to shut down cleanly before its container is killed. A change takes
   * effect with the pulumi up after the one that sets it.
   */
  destroyGraceSeconds?: pulumi.Input<number>;
  /**
   * How much memory the database may use before the kernel ends it. The backup agent may use 512 MB more,
   * because drills run a second server inside it. Where the machine's kernel cannot limit memory, nothing
   * is limited.
   */
  databaseMemoryMegabytes?: pulumi.Input<number>;
  /**
   * Where every backup is sent to as well. aws is Amazon S3, with the AWS credentials of whoever runs
   * Pulumi. s3 is another S3-compatible store. local is a store in a container on this same machine, and
   * dies with it. none sends nothing.
   */
  objectStore?: pulumi.Input<string>;
  /**
   * Lets a stack with a production name (prod, production, prod-eu) have no copies on another machine.
   * Whatever takes the machine then takes the data and every backup.
   */
  backupsOnThisMachineOnly?: pulumi.Input<boolean>;
  /**
   * The bucket for the backups. The stack makes it. aws and s3 need one. When it is not set, a local
   * store's is budgie-backups. A bucket of another stack is refused.
   */
  bucket?: pulumi.Input<string>;
  /**
   * The region of the bucket. Stores that know no regions have one name for theirs, e.g. auto or garage.
   */
  region?: pulumi.Input<string>;
  /**
   * The address of the S3-compatible store, e.g. https://s3.example.com. With aws, set it for a VPC
   * endpoint only.
   */
  s3Endpoint?: pulumi.Input<string>;
  /**
   * Writes the bucket's name behind the endpoint's host instead of before it. With aws it is used only when
   * s3Endpoint is set.
   */
  s3PathStyle?: pulumi.Input<boolean>;
  /**
   * What the S3-compatible store is, and so what it can do: minio, r2 (Cloudflare), b2 (Backblaze), garage,
   * or s3 for any other. When it is not set, the endpoint's name decides. pulumi preview lists what the
   * store lacks.
   */
  objectStoreProfile?: pulumi.Input<string>;
  /**
   * The access key of the S3-compatible store. The stack sets up the bucket with it, and reads the bucket
   * with it when you restore a backup.
   */
  s3AccessKeyId?: pulumi.Input<string>;
  /** The secret of s3AccessKeyId. */
  s3SecretAccessKey?: pulumi.Input<string>;
  /**
   * An access key that can only add objects. The backup agent gets it instead of s3AccessKeyId. So whoever
   * takes over the agent's container can delete no backup.
   */
  s3WriterAccessKeyId?: pulumi.Input<string>;
  /** The secret of s3WriterAccessKeyId. */
  s3WriterSecretAccessKey?: pulumi.Input<string>;
  /** The image of the local store, which must be of the MinIO line. */
  objectStoreImage?: pulumi.Input<string>;
  /** After how many days the bucket hides a backup. */
  offsiteKeepDays?: pulumi.Input<number>;
  /**
   * When a backup is hidden, overwritten or deleted, it is really gone from the bucket this many days
   * later.
   */
  offsiteNoncurrentDays?: pulumi.Input<number>;
  /**
   * The cheaper storage class that backups move to, e.g. STANDARD_IA. Small ones (under 128 KB) never move.
   * Backups in GLACIER and DEEP_ARCHIVE take hours to come back before they can be restored.
   */
  offsiteTransitionClass?: pulumi.Input<string>;
  /**
   * After how many days they move. The cheaper classes charge at least 30 days (STANDARD_IA, ONEZONE_IA),
   * 90 (GLACIER_IR, GLACIER) or 180 (DEEP_ARCHIVE).
   */
  offsiteTransitionDays?: pulumi.Input<number>;
  /**
   * For this many days nobody can delete a backup from the bucket without the right to bypass the lock
   * (governance mode). A local or MinIO bucket must be new for it.
   */
  objectLockDays?: pulumi.Input<number>;
  /**
   * The age public keys (age1..., separated by spaces) to which every copy is encrypted before it leaves
   * the machine. Whoever has one of their private keys can restore the copies. Nobody else can; and when
   * these are lost, nobody at all. The backups in backupDir stay as they are.
   */
  backupRecipients?: pulumi.Input<string>;
  /**
   * A folder on another machine. Every backup is sent there over ssh as well, e.g.
   * budgie@nas.example.com:/volume1/budgie or ssh://budgie@nas.example.com:2222/volume1/budgie.
   */
  offsiteSsh?: pulumi.Input<string>;
  /** The OpenSSH private key for offsiteSsh, without a passphrase. */
  offsiteSshKey?: pulumi.Input<string>;
  /**
   * The public key of that machine, as ssh-keyscan -t ed25519 HOST prints it behind the host's name.
   * Compare it with what the machine itself says (/etc/ssh/ssh_host_ed25519_key.pub).
   */
  offsiteSshHostKey?: pulumi.Input<string>;
}
