//! JSON: a HAR file (HTTP Archive 1.2), as browsers and request catchers write it, or what `capture` writes.

use bytes::Bytes;
use data_encoding::BASE64;
use serde_json::Value;
use url::form_urlencoded;

use super::{Captured, target_of};
use crate::core::delivery::Delivery;
use crate::core::time::UnixMs;

/// All requests of the document, in order.
pub(super) fn parse(json: &Value) -> Result<Vec<Captured>, String> {
    let list = |at: &str| json.pointer(at).and_then(Value::as_array).filter(|entries| !entries.is_empty());
    if let Some(entries) = list("/log/entries") {
        let entry = |(n, entry): (usize, &Value)| {
            let mut captured = entry.get("request").map_or_else(|| Err("it has no request".to_owned()), of_har);
            if let Ok(captured) = &mut captured {
                captured.at = instant(entry.get("startedDateTime"));
            }
            captured.map_err(|problem| format!("entry {}: {problem}", n + 1))
        };
        return entries.iter().enumerate().map(entry).collect();
    }
    if let Some(captures) = list("/captures") {
        return captures.iter().map(of_capture).collect();
    }
    if json.get("method").is_some() {
        return Ok(vec![of_capture(json)?]);
    }
    Err("its JSON is neither a HAR file (`log.entries`) nor a capture (`captures`)".to_owned())
}

fn of_har(request: &Value) -> Result<Captured, String> {
    let data = request.get("postData");
    let text = data.and_then(|data| data.get("text")).and_then(Value::as_str);
    let is_base64 = data.and_then(|data| data.get("encoding")).and_then(Value::as_str) == Some("base64");
    let body = match text {
        Some(text) if is_base64 => decoded(text)?,
        Some(text) => text.as_bytes().to_vec(),
        None => form(data.and_then(|data| data.get("params"))),
    };
    let mut captured = of_parts(request, body)?;
    let headers = &mut captured.delivery.headers;
    let mime = data.and_then(|data| data.get("mimeType")).and_then(Value::as_str).filter(|mime| !mime.is_empty());
    if let Some(mime) = mime.filter(|_| !headers.iter().any(|(name, _)| name == "content-type")) {
        headers.push(("content-type".to_owned(), mime.as_bytes().to_vec()));
    }
    Ok(captured)
}

fn of_capture(capture: &Value) -> Result<Captured, String> {
    let text = |name: &str| capture.get(name).and_then(Value::as_str);
    let body = match (text("body_base64"), text("body")) {
        (Some(coded), _) => decoded(coded)?,
        (None, Some(text)) => text.as_bytes().to_vec(),
        (None, None) => Vec::new(),
    };
    let mut captured = of_parts(capture, body)?;
    captured.at = instant(capture.get("at"));
    Ok(captured)
}

fn of_parts(request: &Value, body: Vec<u8>) -> Result<Captured, String> {
    let text = |name: &str| request.get(name).and_then(Value::as_str);
    let method = text("method").ok_or("it has no `method`")?.to_ascii_uppercase();
    let url = target_of(text("url").ok_or("it has no `url`")?);
    let header = |field: &Value| {
        let text = |name: &str| field.get(name).and_then(Value::as_str);
        let name = text("name")?.to_ascii_lowercase();
        // A pseudo-header of HTTP/2, not a header.
        (!name.starts_with(':')).then(|| Some((name, text("value")?.as_bytes().to_vec())))?
    };
    let headers = request.get("headers").and_then(Value::as_array).into_iter().flatten().filter_map(header).collect();
    Ok(Captured { delivery: Delivery { method, url, headers, body: Bytes::from(body) }, at: None, notes: Vec::new() })
}

fn decoded(coded: &str) -> Result<Vec<u8>, String> {
    BASE64.decode(coded.trim().as_bytes()).map_err(|_| "its body is not base64".to_owned())
}

fn form(params: Option<&Value>) -> Vec<u8> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    for param in params.and_then(Value::as_array).into_iter().flatten() {
        let text = |name: &str| param.get(name).and_then(Value::as_str).unwrap_or_default();
        form.append_pair(text("name"), text("value"));
    }
    form.finish().into_bytes()
}

fn instant(value: Option<&Value>) -> Option<UnixMs> {
    UnixMs::parse_rfc3339(value?.as_str()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_may_be_text_base64_or_the_fields_of_a_form() {
        let of = |data: &str| {
            let json = format!(
                r#"{{"log":{{"entries":[{{"request":{{"method":"post","url":"/a","headers":[{{"name":":path","value":"/a"}}],"postData":{data}}}}}]}}}}"#
            );
            parse(&serde_json::from_str(&json).unwrap()).map(|mut all| all.remove(0).delivery)
        };
        let delivery = of(r#"{"mimeType":"application/json","text":"é"}"#).ok().unwrap();
        assert_eq!((&*delivery.body, delivery.content_type()), ("é".as_bytes(), Some("application/json")));
        assert_eq!((delivery.method.as_str(), delivery.headers.len()), ("POST", 1));
        assert_eq!(&*of(r#"{"text":"AP8=","encoding":"base64"}"#).ok().unwrap().body, b"\x00\xff");
        let form = of(r#"{"mimeType":"x","params":[{"name":"a b","value":"1"},{"name":"c","value":"&"}]}"#);
        assert_eq!(&*form.ok().unwrap().body, b"a+b=1&c=%26");
        assert!(of(r#"{"text":"?","encoding":"base64"}"#).err().unwrap().contains("entry 1"));
    }
}
