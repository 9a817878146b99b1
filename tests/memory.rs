//! The memory that replies cost. In a process of its own, because the whole process is measured.

#[cfg(test)]
mod memory {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::time::Duration;

    use scim_bridge::core::reconcile::judge::classify;
    use scim_bridge::core::reconcile::reply::Outcome;
    use scim_bridge::core::reconcile::request::Request;
    use scim_bridge::core::time::UnixMs;
    use scim_bridge::scim::{Auth, Client, ClientOptions};
    use scim_bridge::secret::LiveSecret;

    const MIB: usize = 1024 * 1024;

    /// Peak memory of the process, in MiB.
    fn peak_mib() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() / 1024
    }

    /// Answers every connection with 4 MiB of `row`.
    fn serve(row: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/scim/v2", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let head = br#"{"totalResults":1,"Resources":["#;
            let rows = (4 * MIB - 200) / row.len();
            for stream in listener.incoming() {
                std::thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let _ = stream.read(&mut [0; 8192]).unwrap();
                    let bytes = head.len() + rows * row.len() + 3;
                    write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\n\r\n").unwrap();
                    stream.write_all(head).unwrap();
                    for _ in 0..rows / 1000 {
                        stream.write_all(row.repeat(1000).as_bytes()).unwrap();
                    }
                    stream.write_all(row.repeat(rows % 1000).as_bytes()).unwrap();
                    stream.write_all(b"0]}").unwrap();
                });
            }
        });
        url
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 8)]
    async fn eight_replies_of_4_mib_at_once_stay_under_128_mib() {
        for row in [r#"{"":0},"#, r#"{"id":1,"userName":"bob@example.com"},"#] {
            let client = Client::new(ClientOptions {
                base_url: serve(row).parse().unwrap(),
                key: LiveSecret::new("key".to_owned().into()),
                auth: Auth::Bearer,
                x_api_key: false,
                locale: "en-US".to_owned(),
                timeout: Duration::from_mins(1),
                connect_timeout: Duration::from_secs(5),
                ca_pem: None,
            })
            .unwrap();
            let before = peak_mib();
            let calls = (0..8).map(|_| {
                let client = client.clone();
                tokio::spawn(async move {
                    let asked = Request::Find { user_name: "ada@example.com".to_owned() };
                    let reply = client.send(&asked).await;
                    let outcome = classify(&asked, &[], &reply, UnixMs(0));
                    (reply, outcome)
                })
            });
            let mut held = Vec::new();
            for call in calls.collect::<Vec<_>>() {
                held.push(call.await.unwrap());
            }
            let more = peak_mib() - before;
            assert!(held.iter().all(|(_, outcome)| matches!(outcome, Outcome::Members(page) if page.listed > 100_000)));
            assert!(more < 128, "{more} MiB more for eight replies of {row}");
        }
    }
}
