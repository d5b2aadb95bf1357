"""The invites by which one gets to know people at other servers."""

from aiohttp import web

from gateway.errors import GatewayError, Malformed
from gateway.model import InviteState
from gateway.ocm.invites import Invite, parse_invite
from gateway.sharing.accepting import Accepting
from gateway.sharing.inviting import Inviting
from gateway.sharing.messages import Messages, qr_address
from gateway.web.languages import N_
from gateway.web.pages.dates import end_of_day
from gateway.web.pages.listing import FIRST, turn_of
from gateway.web.routes import Routes
from gateway.web.views import Page, Pages, View

STATES = {
    InviteState.OPEN: N_("open"),
    InviteState.ACCEPTED: N_("accepted"),
    InviteState.WITHDRAWN: N_("withdrawn"),
}
_PAST = tuple(state for state in InviteState if state is not InviteState.OPEN)


async def accept(view: View, accepting: Accepting, invite: Invite) -> web.Response:
    """Accept an invite, and on to the contacts. Raises what `Accepting.accept` does."""
    met = await accepting.accept(view.user.name, invite)
    if met:
        view.say(view.gettext("%(who)s is a contact now.") % {"who": met.shown_as})
    else:
        late = view.gettext(
            "%(server)s has not answered yet and is still asked. Who invites you stands here as"
            " soon as it has; if nobody does, accept the invite once more."
        )
        view.say(late % {"server": invite.provider})
    return view.redirect("/contacts")


def invites(pages: Pages, inviting: Inviting, accepting: Accepting, messages: Messages) -> Routes:
    """/invites: the list; /invites/invite: one of them, as it is passed on."""

    async def get_invites(view: View) -> web.StreamResponse:
        now = await inviting.part(turn_of(view), view.user.name, states=(InviteState.OPEN,))
        past = await inviting.part(FIRST, view.user.name, states=_PAST)
        return view.render("invites.html", now=now, past=past, states=STATES)

    async def get_invite(view: View) -> web.StreamResponse:
        one = await inviting.by_id(view.query("id"), sender=view.user.name)
        text, link = inviting.string_of(one), inviting.link_of(one)
        return view.render(
            "invite.html",
            one=one,
            states=STATES,
            text=text,
            link=link,
            qr=qr_address(link) if link else "",
            by_mail=messages.by_mail,
        )

    async def post_invite(view: View) -> web.StreamResponse:
        name, one = view.user.name, view.field("id")
        try:
            match view.field("do"):
                case "create":
                    made = await inviting.create_invite(
                        name,
                        note=view.field("note"),
                        expiration_at=end_of_day(view.field("until")),
                    )
                    return view.redirect(f"/invites/invite?id={made.id}")
                case "withdraw":
                    await inviting.withdraw(one, sender=name)
                    view.say(view.gettext("The invite was withdrawn."))
                case "renew":
                    await inviting.renew(one, sender=name)
                    view.say(view.gettext("The invite lasts anew."))
                    return view.redirect(f"/invites/invite?id={one}")
                case "mail":
                    mailed = await messages.mail(
                        one, view.field("to"), text=view.field("message"), sender=name
                    )
                    told = view.gettext("The invite went to %(who)s by mail.")
                    view.say(told % {"who": mailed.email})
                    return view.redirect(f"/invites/invite?id={one}")
                case "accept":
                    return await accept(view, accepting, parse_invite(view.field("text")))
                case _:
                    raise Malformed("the form does not say what to do")
        except GatewayError as error:
            view.say(view.told(error), "failed")
        return view.redirect("/invites")

    return pages.routes(
        Page("/invites", "page.invites", get=get_invites, post=post_invite),
        Page("/invites/invite", "page.invite", get=get_invite),
    )
