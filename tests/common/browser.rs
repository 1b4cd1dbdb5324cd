//! Chromium, driven over its own protocol through a pair of pipes: no port, no driver, no library.
#![allow(dead_code)] // each test file uses its part

use serde_json::{Value as Json, json};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up: a loaded machine is slow, a hang is not.
const PATIENCE: Duration = Duration::from_secs(90);

/// A browser of its own, with a directory of its own. It ends with the value.
pub struct Browser {
    child: Child,
    input: ChildStdin,
    messages: Receiver<Json>,
    events: Vec<Json>,
    next: u64,
    _home: tempfile::TempDir,
}

/// The browser's program, or a line that says that the test is skipped.
fn program() -> Option<String> {
    let named = std::env::var("CHROMIUM").ok();
    let names = named.iter().map(String::as_str).chain(["chromium", "chromium-browser", "google-chrome"]);
    let found = names.into_iter().find(|name| {
        Command::new(name)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|s| s.success())
    });
    if found.is_none() {
        println!("skipped: chromium is not installed (apt-get install chromium)");
    }
    found.map(str::to_string)
}

impl Browser {
    /// Starts one. `None`, after saying so, where none is installed.
    pub fn start() -> Option<Browser> {
        let program = program()?;
        let home = tempfile::tempdir().expect("a directory");
        // The browser reads the protocol from descriptor 3 and writes it to 4; a shell puts our pipes there.
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1", "sh", &program])
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args(["--hide-scrollbars", "--disable-dev-shm-usage", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", home.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh starts");
        let input = child.stdin.take().expect("a pipe");
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        let (send, messages) = channel();
        std::thread::spawn(move || {
            let mut message = Vec::new();
            while output.read_until(0, &mut message).is_ok_and(|n| n > 0) {
                message.pop();
                if let Ok(json) = serde_json::from_slice(&message) {
                    if send.send(json).is_err() {
                        break;
                    }
                }
                message.clear();
            }
        });
        Some(Browser { child, input, messages, events: Vec::new(), next: 0, _home: home })
    }

    /// Calls a method and waits for its result.
    #[track_caller]
    fn call(&mut self, session: Option<&str>, method: &str, params: Json) -> Json {
        let answer = self.ask(session, method, params);
        assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
        answer["result"].clone()
    }

    /// Calls a method and waits for its answer, which may be an error.
    #[track_caller]
    fn ask(&mut self, session: Option<&str>, method: &str, params: Json) -> Json {
        self.next += 1;
        let id = self.next;
        let mut message = json!({"id": id, "method": method, "params": params});
        if let Some(session) = session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.input.write_all(&bytes).and_then(|()| self.input.flush()).expect("the browser listens");
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let answer = self.messages.recv_timeout(left).unwrap_or_else(|_| panic!("no answer to {method}"));
            if answer["id"] == id {
                return answer;
            }
            self.events.push(answer);
        }
    }

    /// A new tab of this size.
    pub fn tab(&mut self, width: u32, height: u32) -> Tab<'_> {
        let target =
            self.call(None, "Target.createTarget", json!({"url": "about:blank"}))["targetId"].clone();
        let attached = self.call(None, "Target.attachToTarget", json!({"targetId": target, "flatten": true}));
        let session = attached["sessionId"].as_str().expect("a session").to_string();
        self.events.clear();
        let mut tab = Tab { browser: self, session };
        for domain in ["Page", "Runtime", "Network", "Log"] {
            tab.call(&format!("{domain}.enable"), json!({}));
        }
        tab.size(width, height);
        tab
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.input.write_all(b"{\"id\":0,\"method\":\"Browser.close\"}\0");
        let until = Instant::now() + Duration::from_secs(5);
        while Instant::now() < until {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A tab.
pub struct Tab<'a> {
    browser: &'a mut Browser,
    session: String,
}

impl Tab<'_> {
    /// Calls a method of the protocol.
    #[track_caller]
    pub fn call(&mut self, method: &str, params: Json) -> Json {
        let session = self.session.clone();
        self.browser.call(Some(&session), method, params)
    }

    /// The size of the window.
    pub fn size(&mut self, width: u32, height: u32) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", metrics);
    }

    /// Light or dark, as the system would say.
    pub fn theme(&mut self, theme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": theme}]);
        self.call("Emulation.setEmulatedMedia", json!({"features": features}));
    }

    /// Opens a page and waits until its timeline stands, or until there is nothing to wait for.
    #[track_caller]
    pub fn open(&mut self, page: &Path, hash: &str) {
        self.go(page, hash);
        self.ready();
    }

    /// Opens a page and waits until it is loaded.
    #[track_caller]
    pub fn go(&mut self, page: &Path, hash: &str) {
        self.visit(&format!("file://{}{hash}", page.display()));
    }

    /// The same for an address.
    #[track_caller]
    pub fn visit(&mut self, address: &str) {
        self.browser.events.clear();
        // The same file with another hash would not be loaded again.
        self.call("Page.navigate", json!({"url": "about:blank"}));
        self.browser.events.clear();
        self.call("Page.navigate", json!({"url": address}));
        self.loaded();
    }

    /// Waits until the page is loaded.
    #[track_caller]
    pub fn loaded(&mut self) {
        self.eval("new Promise(done => document.readyState === 'complete' ? done(1) : addEventListener('load', () => done(1)))");
    }

    /// Waits for the script.
    #[track_caller]
    pub fn ready(&mut self) {
        self.eval(
            "new Promise(done => {
                const there = () => window.perjury && window.perjury.ready || !document.querySelector('#timeline .static');
                there() ? done(1) : document.addEventListener('timeline', () => done(1));
            })",
        );
        self.settled();
    }

    /// Waits until what was asked for is drawn: two frames later.
    #[track_caller]
    pub fn settled(&mut self) {
        let frames = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))";
        let params = json!({"expression": frames, "awaitPromise": true, "returnByValue": true});
        let (until, session) = (Instant::now() + Duration::from_secs(20), self.session.clone());
        // What was asked for may be another page, which takes the place of this one and its promise; then that is drawn.
        loop {
            let answer = self.browser.ask(Some(&session), "Runtime.evaluate", params.clone());
            if answer["result"]["result"]["value"] == 1 {
                return;
            }
            assert!(Instant::now() < until, "nothing is drawn: {answer}");
        }
    }

    /// What an expression is; promises are awaited.
    #[track_caller]
    pub fn eval(&mut self, expression: &str) -> Json {
        let params = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let result = self.call("Runtime.evaluate", params);
        assert!(result["exceptionDetails"].is_null(), "{expression}: {}", result["exceptionDetails"]);
        result["result"]["value"].clone()
    }

    /// What an expression is, as text.
    #[track_caller]
    pub fn text(&mut self, expression: &str) -> String {
        match self.eval(expression) {
            Json::String(text) => text,
            other => other.to_string(),
        }
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub fn until(&mut self, expression: &str) {
        let until = Instant::now() + Duration::from_secs(20);
        let session = self.session.clone();
        let params = json!({"expression": expression, "returnByValue": true});
        // A page that another one is just taking the place of does not answer; the other one will.
        while self.browser.ask(Some(&session), "Runtime.evaluate", params.clone())["result"]["result"]["value"]
            != true
        {
            assert!(Instant::now() < until, "this never came true: {expression}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Follows a link or presses a button, and waits for the page that it leads to.
    #[track_caller]
    pub fn follow(&mut self, selector: &str) {
        // A mark on this page, which the next one does not have.
        self.eval("void (window.before = true)");
        self.eval(&format!("void document.querySelector({}).click()", json!(selector)));
        self.until("window.before !== true && document.readyState === 'complete'");
    }

    /// Presses a key, with its text if it has one.
    pub fn key(&mut self, key: &str) {
        let mut down = json!({"type": "keyDown", "key": key, "code": key});
        if key.chars().count() == 1 {
            down["text"] = json!(key);
        }
        if key == "Enter" {
            down["windowsVirtualKeyCode"] = json!(13);
            down["text"] = json!("\r");
        }
        self.call("Input.dispatchKeyEvent", down);
        self.call("Input.dispatchKeyEvent", json!({"type": "keyUp", "key": key, "code": key}));
        self.settled();
    }

    /// Everything that was asked for over a network or from a disk, and everything that went wrong, since `open`.
    pub fn trouble(&mut self) -> (Vec<String>, Vec<String>) {
        self.settled();
        let mut requests = Vec::new();
        let mut errors = Vec::new();
        for event in &self.browser.events {
            let params = &event["params"];
            match event["method"].as_str().unwrap_or("") {
                "Network.requestWillBeSent" => {
                    requests.push(params["request"]["url"].as_str().unwrap_or("?").to_string())
                }
                "Runtime.exceptionThrown" | "Page.javascriptDialogOpening" => errors.push(params.to_string()),
                "Runtime.consoleAPICalled" => errors.push(params["args"].to_string()),
                "Log.entryAdded" => errors.push(params["entry"]["text"].to_string()),
                _ => {}
            }
        }
        (requests, errors)
    }

    /// Fails unless the page asked for itself alone and nothing was said on the console.
    #[track_caller]
    pub fn quiet(&mut self) {
        let (requests, errors) = self.trouble();
        assert!(errors.is_empty(), "{errors:?}");
        assert!(requests.len() == 1 && requests[0].starts_with("file://"), "{requests:?}");
    }
}
