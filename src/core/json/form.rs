//! Forms as JSON.

use std::borrow::Cow;

use super::Json;

/// Steps that a form's field name may have, such as the three of `a[b][c]`.
const FORM_STEPS_MAX: usize = 16;

/// A form (`application/x-www-form-urlencoded`) as JSON: `a[b][0]=x` is a nested member, and all values are texts.
#[must_use]
pub fn form(text: &str) -> Json<'_> {
    let mut root = Json::Object(Vec::new());
    for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
        let mut steps = name
            .split('[')
            .take(FORM_STEPS_MAX)
            .enumerate()
            .map(|(n, step)| if n == 0 { step } else { step.strip_suffix(']').unwrap_or(step) });
        let place = steps.try_fold(&mut root, |place, step| {
            if !matches!(place, Json::Object(_)) {
                *place = Json::Object(Vec::new());
            }
            let Json::Object(members) = place else { return None };
            let step = if step.is_empty() { members.len().to_string() } else { step.to_owned() };
            let known = members.iter().rposition(|(other, _)| *other == step);
            let at = known.unwrap_or_else(|| {
                members.push((Cow::Owned(step), Json::Null));
                members.len() - 1
            });
            members.get_mut(at).map(|(_, value)| value)
        });
        if let Some(place) = place {
            *place = Json::Text(Cow::Owned(value.into_owned()));
        }
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_members_of_members() {
        let form = form("type=a+b&data%5BemployeeId%5D=7&employees[12][First%20Name]=Ada&x[]=p&x[]=q&y=1&y[z]=2");
        assert_eq!(form.get("type").unwrap().as_text(), Some("a b"));
        assert_eq!(form.get("data").unwrap().get("employeeId").unwrap().as_text(), Some("7"));
        assert_eq!(form.get("employees").unwrap().get("12").unwrap().get("First Name").unwrap().as_text(), Some("Ada"));
        assert_eq!(form.get("x").unwrap().get("1").unwrap().as_text(), Some("q"));
        assert_eq!(form.get("y").unwrap().get("z").unwrap().as_text(), Some("2"));
    }
}
