//! What people do with their groups on their phones, beyond the calls of `person`.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use crate::util::empty;
use crate::world::World;
use crate::{Group, Phone};

impl Phone {
    /// Lets nobody add this person to a group.
    pub fn refuses_groups(&self) {
        self.sim.world().shy.insert(self.number().to_owned());
    }
}

impl Group {
    /// What the group is now: who is in it (true: an admin), what is set, who waits.
    pub fn facts(&self) -> Value {
        let world = self.sim.world();
        let Some(group) = world.groups.get(&self.id) else { return Value::Null };
        let waiting: Vec<&String> = group.waiting.keys().collect();
        json!({
            "subject": group.subject,
            "description": group.description.as_ref().map(|(_, text)| text),
            "members": group.members,
            "announce": group.announce,
            "locked": group.locked,
            "all_add": group.all_add,
            "approval": group.approval,
            "ephemeral": group.ephemeral,
            "waiting": waiting,
        })
    }

    /// The code of its link.
    pub fn invite_code(&self) -> String {
        self.sim.world().groups.get(&self.id).map(|group| group.invite.clone()).unwrap_or_default()
    }

    /// The bytes of its picture.
    pub fn picture(&self) -> Option<Vec<u8>> {
        self.sim.world().groups.get(&self.id)?.picture.as_ref().map(|(_, bytes)| bytes.clone())
    }

    /// Takes the admin's role from members.
    pub async fn demote(&self, by: &Phone, members: &[&Phone]) -> Result<()> {
        let members: Vec<String> = members.iter().map(|p| p.number().to_owned()).collect();
        self.act(|world| world.change_members(&self.id, by.number(), "demote", &members))
    }

    /// Leaves.
    pub async fn leave(&self, who: &Phone) -> Result<()> {
        let me = [who.number().to_owned()];
        self.act(|world| world.change_members(&self.id, who.number(), "remove", &me))
    }

    /// Follows the link: into the group, or among those who wait.
    pub async fn follow_link(&self, who: &Phone) -> Result<()> {
        self.act(|world| world.come_in(&self.id, who.number()).map(drop))
    }

    /// Makes a switch: `announcement`, `not_announcement`, `locked`, `unlocked`.
    pub async fn switch(&self, by: &Phone, tag: &'static str) -> Result<()> {
        self.act(|world| world.change_setting(&self.id, by.number(), &empty(tag)))
    }

    /// Has newcomers wait to be let in, or not.
    pub async fn approve_newcomers(&self, by: &Phone, on: bool) -> Result<()> {
        self.act(|world| world.change_setting(&self.id, by.number(), &approval(on)))
    }

    /// Gives the group a picture.
    pub async fn set_picture(&self, by: &Phone, bytes: &[u8]) -> Result<()> {
        self.act(|world| world.change_picture(&self.id, by.number(), bytes.to_vec()).map(drop))
    }

    fn act(&self, act: impl FnOnce(&mut World) -> Result<()>) -> Result<()> {
        let mut world = self.sim.world();
        act(&mut world).context("in the group")?;
        world.run_phones();
        world.touch();
        Ok(())
    }
}

fn approval(on: bool) -> Node {
    let state = if on { "on" } else { "off" };
    let join = NodeBuilder::new("group_join").attr("state", state).build();
    NodeBuilder::new("membership_approval_mode").children([join]).build()
}
