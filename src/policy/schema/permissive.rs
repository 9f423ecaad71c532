//! A schema for an upstream that nobody has described yet.

/// The text of a schema that declares every path of an upstream: GET, HEAD and OPTIONS as `read`, every
/// other method as `write`. The gateway's own routes go before it. `upstream` is named in a comment.
#[must_use]
pub fn permissive(upstream: &str) -> String {
    let upstream: String = upstream.chars().filter(|c| !c.is_control()).collect();
    format!(
        r#"// Every route of {upstream}. It was generated: declare the routes one by one, each in its group
// (read, write, admin, grantsAccess, owner), and the policies can tell them apart.

@http("GET|HEAD|OPTIONS /, GET|HEAD|OPTIONS /{{rest...}}")
action readUpstream in [read] appliesTo {{
  principal: [PlatformUser, Impersonation, OrgUser, Bot],
  resource: [Org],
  context: RequestContext,
}};

@http("* /, * /{{rest...}}")
action writeUpstream in [write] appliesTo {{
  principal: [PlatformUser, Impersonation, OrgUser, Bot],
  resource: [Org],
  context: RequestContext,
}};
"#
    )
}
