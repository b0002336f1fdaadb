// The groups of a device, and one of them: who is in it, and the link by which people come in.
import { get, pathOf, post } from "../api.js";
import { button, el, empty, explain, facts, h1, icon, lines, muted } from "../dom.js";
import { clock, phone, t } from "../i18n.js";
import { ask, copyButton } from "../overlay.js";
import { changed, state } from "../state.js";
import { loading } from "./devices.js";

const DAY = 86400;
/** Of a group, refusals have words of their own. */
const REFUSED = { message_not_found: "groups.gone", whatsapp_refused: "groups.admins_only" };

const words = (error) => (REFUSED[error.code] ? t(REFUSED[error.code]) : explain(error));

export default function groups(_signal, device, _groups, id) {
	const home = `#/devices/${device}`;
	const path = pathOf(device, id ? `groups/${id}` : "groups");
	/** What was asked for: the list or the group, its link, and what went wrong with either. */
	let found = null;
	let link = null;
	let problem = null;
	let noLink = null;

	async function load() {
		try {
			found = await get(path);
		} catch (error) {
			problem = words(error);
		}
		changed();
	}

	async function loadLink() {
		try {
			link = await get(`${path}/invite`);
		} catch (error) {
			noLink = words(error);
		}
		changed();
	}
	load();
	if (id) loadLink();

	async function reset() {
		const sure = await ask(t("groups.reset_q"), t("groups.reset_why"), t("groups.reset"), ".solid");
		if (!sure) return;
		link = await post(`${path}/invite`);
		changed();
	}

	const back = (href, words) => el("a.back", { href }, icon("back"), words);

	function list() {
		const { label } = state.devices.get(device) ?? {};
		const line = ({ id, name }) => el("a", { href: `${home}/groups/${id}` }, name || id);
		return [
			back(home, label || device),
			h1(t("groups")),
			problem && el("p.note.bad", problem),
			!found && !problem && loading(),
			found?.groups.length === 0 && empty("group", t("groups.none"), t("groups.none_why")),
			found?.groups.length > 0 && el("section.card", lines(found.groups.map(line))),
		];
	}

	function inviteCard() {
		return el(
			"section.card.stack",
			el("h2", t("groups.invite")),
			noLink && el("p.muted", noLink),
			!link && !noLink && loading(),
			link && [
				el(
					".qr.on",
					{ "data-key": link.code },
					// The picture is of the link that is there now; the code keeps an old one from being shown.
					el("img", {
						src: `${path}/invite?${link.code}`,
						alt: t("groups.qr"),
						width: 264,
						height: 264,
					}),
				),
				el("code.whole", link.link),
				el(".row.foot", copyButton(link.link, ""), button("", "again", t("groups.reset"), reset)),
			],
		);
	}

	function card() {
		const top = back(`${home}/groups`, t("groups"));
		if (!found) return [top, h1(id), problem ? el("p.note.bad", problem) : loading()];
		const { name, description, owner, created, settings, members } = found;
		const nameOf = (one) => phone(one.phone ?? one.jid);
		const member = (one) => [
			el("span", nameOf(one)),
			one.role !== "member" && muted(t(`groups.role.${one.role}`)),
		];
		const { disappearing } = settings;
		const set = [
			settings.announce && t("groups.announce"),
			settings.locked && t("groups.locked"),
			settings.members_add === "admins" && t("groups.admins_add"),
			settings.approval && t("groups.approval"),
			disappearing > 0 && t("groups.disappearing", { n: Math.round(disappearing / DAY) }),
		];
		return [
			top,
			h1(name || id),
			description && el("p.whole", description),
			el(
				".two",
				el(
					"section.card.stack",
					facts(
						[t("groups.members"), members.length],
						[owner && t("groups.role.owner"), owner && nameOf(owner)],
						[created && t("groups.created"), created && clock(created, { dateStyle: "medium" })],
						[t("groups.id"), id],
					),
					set.filter(Boolean).map((words) => el("p.hint", words)),
					lines(members.map(member)),
				),
				inviteCard(),
			),
		];
	}

	return id ? card : list;
}
