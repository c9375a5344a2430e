//! An HTTP client that is as plain as the tests need it: no redirects, no cookies of its own, one
//! connection per [`Connection`].

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    client::conn::http1::{SendRequest, handshake},
};
use hyper_util::rt::TokioIo;
use serde_json::Value;

/// Asks one portal.
#[derive(Clone, Debug)]
pub struct Client {
    address: SocketAddr,
    token: Option<String>,
    headers: HeaderMap,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is not.
    pub fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("{}: {error}: {}", self.status, self.text()),
        }
    }

    /// The same, if it has this status.
    ///
    /// # Panics
    /// If it has another one.
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        self
    }

    /// The `code` of a problem.
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

impl Client {
    /// Asks as nobody.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            token: None,
            headers: HeaderMap::new(),
        }
    }

    /// Asks with a token.
    #[must_use]
    pub fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// Sends a header with every request.
    ///
    /// # Panics
    /// If it is not a header.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        match value.parse() {
            Ok(value) => self.headers.insert(name, value),
            Err(error) => panic!("{name}: {error}"),
        };
        self
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    /// `POST` of JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, Some(body)).await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }

    /// Any method, on a connection of its own.
    ///
    /// # Panics
    /// If nothing comes back.
    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let answer = match self.connect().await {
            Ok(mut connection) => connection.send(method.clone(), path, body).await,
            Err(error) => Err(error),
        };
        answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// Status and headers only: the body may never end.
    ///
    /// # Panics
    /// If nothing comes back.
    pub async fn head_of(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let sent = match self.connect().await {
            Ok(mut connection) => connection.head(method.clone(), path, body).await,
            Err(error) => Err(error),
        };
        match sent {
            Ok((parts, _)) => Answer {
                status: parts.status,
                headers: parts.headers,
                body: Bytes::new(),
            },
            Err(error) => panic!("{method} {path}: {error}"),
        }
    }

    /// A stream of server-sent events, perhaps after an event that was seen.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn events(&self, path: &str, last: Option<u64>) -> Events {
        let mut client = self.clone().with_header("accept", "text/event-stream");
        if let Some(last) = last {
            client = client.with_header("last-event-id", &last.to_string());
        }
        let opened = match client.connect().await {
            Ok(mut connection) => connection
                .head(Method::GET, path, None)
                .await
                .map(|(parts, body)| (parts, body, connection)),
            Err(error) => Err(error),
        };
        match opened {
            Ok((parts, body, connection)) => {
                assert_eq!(parts.status, StatusCode::OK);
                Events {
                    body,
                    text: String::new(),
                    _connection: connection,
                }
            }
            Err(error) => panic!("{path}: {error}"),
        }
    }

    /// A connection that is kept.
    pub async fn connect(&self) -> Result<Connection, String> {
        #[expect(
            clippy::disallowed_methods,
            reason = "a test speaks to its own portal on the loopback address"
        )]
        let stream = tokio::net::TcpStream::connect(self.address)
            .await
            .map_err(|e| e.to_string())?;
        let _ = stream.set_nodelay(true);
        let (sender, driver) = handshake(TokioIo::new(stream))
            .await
            .map_err(|e| e.to_string())?;
        #[expect(clippy::disallowed_methods, reason = "ends when the sender is dropped")]
        tokio::spawn(async move {
            let _ = driver.await;
        });
        Ok(Connection {
            client: self.clone(),
            sender,
        })
    }
}

/// One kept-alive connection.
pub struct Connection {
    client: Client,
    sender: SendRequest<Full<Bytes>>,
}

impl Connection {
    /// Sends and reads to the end.
    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, String> {
        let (parts, body) = self.head(method, path, body).await?;
        let body = body.collect().await.map_err(|e| e.to_string())?.to_bytes();
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        })
    }

    async fn head(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(http::response::Parts, Incoming), String> {
        let mut request = Request::builder().method(method).uri(path);
        request = request.header(header::HOST, self.client.address.to_string());
        if let Some(token) = &self.client.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        for (name, value) in &self.client.headers {
            request = request.header(name, value);
        }
        let bytes = body.map(Value::to_string).unwrap_or_default();
        let request = request
            .body(Full::new(Bytes::from(bytes)))
            .map_err(|e| e.to_string())?;
        self.sender.ready().await.map_err(|e| e.to_string())?;
        let response = self
            .sender
            .send_request(request)
            .await
            .map_err(|e| e.to_string())?;
        Ok(response.into_parts())
    }
}

/// An open stream of events.
pub struct Events {
    body: Incoming,
    text: String,
    _connection: Connection,
}

impl Events {
    /// The next event's data, as JSON; heartbeats and comments are passed over.
    ///
    /// # Panics
    /// If the stream ends.
    pub async fn next(&mut self) -> Value {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let data = block.lines().find_map(|line| line.strip_prefix("data:"));
                let value = data.and_then(|data| serde_json::from_str(data).ok());
                self.text = rest.to_owned();
                if let Some(value) = value {
                    return value;
                }
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    let bytes = frame.into_data().unwrap_or_default();
                    self.text
                        .push_str(&String::from_utf8_lossy(&bytes).replace("\r\n", "\n"));
                }
                Some(Err(error)) => panic!("the stream broke: {error}"),
                None => panic!("the stream ended"),
            }
        }
    }

    /// The next event of a type.
    pub async fn until(&mut self, kind: &str) -> Value {
        loop {
            let event = self.next().await;
            if event["type"] == kind {
                return event;
            }
        }
    }
}
