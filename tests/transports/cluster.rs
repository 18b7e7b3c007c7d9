//! A step of a Slurm job, on a cluster of one node that is set up for the test.

use std::{
    fs,
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::Duration,
};

use offshoot_parent::prelude::*;
use offshoot_tests::real::eventually;
use tempfile::TempDir;

use crate::far::{ADD, Missing, Planned, as_root, payload, program, run};

crate::tests![a_step_of_a_slurm_job_answers_and_leaves_nothing];

/// A node, its controller, and who vouches for their users.
pub(crate) struct Cluster {
    folder: TempDir,
    daemons: Vec<Child>,
}

impl Cluster {
    pub(crate) fn new() -> Result<Self, Missing> {
        as_root()?;
        for tool in ["munged", "slurmctld", "slurmd", "srun", "sinfo"] {
            program(tool)?;
        }
        // Sockets have short names, and stand in a folder that nobody else can write.
        let folder = tempfile::Builder::new().prefix("slurm-").tempdir_in("/run").unwrap();
        let mut cluster = Self { folder, daemons: Vec::new() };
        run(&["chmod", "755", &cluster.file("")]);
        for name in ["state", "spool"] {
            fs::create_dir(cluster.file(name)).unwrap();
        }
        fs::write(cluster.file("key"), [7; 64]).unwrap();
        run(&["chmod", "400", &cluster.file("key")]);
        fs::write(cluster.file("slurm.conf"), cluster.config()).unwrap();
        let files = ["socket", "key-file", "pid-file", "seed-file", "log-file"];
        let files = files.map(|what| format!("--{what}={}", cluster.file(what.trim_end_matches("-file"))));
        let munge = ["--foreground", "--force"].map(str::to_owned).into_iter().chain(files);
        cluster.start("munged", munge.collect());
        let socket = cluster.file("socket");
        let listens = || fs::exists(&socket).unwrap().then_some(());
        eventually("munged listens", Duration::from_secs(5), listens);
        cluster.start("slurmctld", vec!["-D".into(), "-i".into()]);
        cluster.start("slurmd", vec!["-D".into()]);
        let is_idle = || {
            let said = cluster.command("sinfo").args(["-h", "-o", "%t"]).output();
            said.is_ok_and(|said| said.stdout == b"idle\n").then_some(())
        };
        eventually("the node is idle", Duration::from_secs(20), is_idle);
        Ok(cluster)
    }

    /// A step on it. The client finds it by its environment.
    pub(crate) fn plan(&self, payload: Payload) -> Plan {
        let mut plan = Srun::new().payload(payload).plan();
        if let Some(transport) = &mut plan.transport {
            transport.env.push(("SLURM_CONF".to_owned(), self.file("slurm.conf")));
        }
        plan
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(program(name).unwrap());
        command.env("SLURM_CONF", self.file("slurm.conf")).stdin(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn start(&mut self, name: &str, words: Vec<String>) {
        let daemon = self.command(name).args(words).stdout(Stdio::null()).spawn().unwrap();
        self.daemons.push(daemon);
    }

    fn config(&self) -> String {
        let port = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        let (host, at) = (host.trim(), self.file(""));
        let (controller, node) = (port(), port());
        format!(
            "ClusterName=far\nSlurmctldHost={host}(127.0.0.1)\nSlurmctldPort={controller}\nSlurmdPort={node}\n\
             AuthType=auth/munge\nAuthInfo=socket={at}socket\nSlurmUser=root\nSlurmdUser=root\n\
             ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\nMpiDefault=none\nReturnToService=2\n\
             SelectType=select/cons_tres\nSelectTypeParameters=CR_CPU\n\
             JobAcctGatherType=jobacct_gather/none\nAccountingStorageType=accounting_storage/none\n\
             SlurmctldPidFile={at}ctld.pid\nSlurmdPidFile={at}slurmd.pid\n\
             StateSaveLocation={at}state\nSlurmdSpoolDir={at}spool\n\
             SlurmctldLogFile={at}ctld.log\nSlurmdLogFile={at}slurmd.log\n\
             NodeName={host} NodeAddr=127.0.0.1 CPUs=2\nPartitionName=all Nodes=ALL Default=YES State=UP\n"
        )
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for daemon in self.daemons.iter_mut().rev() {
            drop(daemon.kill());
            drop(daemon.wait());
        }
    }
}

fn a_step_of_a_slurm_job_answers_and_leaves_nothing() -> Result<(), Missing> {
    let leaf = payload("leaf")?;
    let cluster = Cluster::new()?;
    let router = Router::new().unwrap();
    let step = router.connect(Planned(cluster.plan(leaf))).unwrap();
    for n in 0..10 {
        assert_eq!(step.call(ADD, (n, 3)).unwrap(), n + 3);
    }
    step.shutdown().wait_timeout(Duration::from_secs(5)).unwrap();
    Ok(())
}
