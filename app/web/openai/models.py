"""`/v1/models`: what the connected extensions make images with."""

from app.container import Services
from app.web.api import Api, ResponseSpec
from app.web.openai.calls import TAG
from app.web.openai.errors import REQUEST_ID, UnknownModel
from app.web.openai.schemas import ImageModel, ImageModelList


def operations(api: Api, services: Services) -> None:
    """Declare the operations of this module."""

    @api.operation(
        "GET",
        "/v1/models",
        tag=TAG,
        summary="List models",
        openai=True,
        responses=(ResponseSpec("The models", ImageModelList, headers=(REQUEST_ID,)),),
    )
    def list_openai_models() -> ImageModelList:
        """The models that the connected extensions make images with."""
        return ImageModelList(data=[ImageModel(id=name) for name in services.fleet.models()])

    @api.operation(
        "GET",
        "/v1/models/<path:model>",
        tag=TAG,
        summary="Get a model",
        openai=True,
        responses=(ResponseSpec("The model", ImageModel, headers=(REQUEST_ID,)),),
        refusals=(UnknownModel,),
    )
    def get_openai_model(model: str) -> ImageModel:
        """Whether a connected extension makes images with this model."""
        name = services.fleet.model(model)
        if name is None:
            raise UnknownModel(f"No connected extension makes the model {model[:128]}.")
        return ImageModel(id=name)
